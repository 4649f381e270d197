import { assert, must } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { type MemoryHub, Pipe } from "./memory-hub.ts";
import {
  type BulkServer,
  type LinkHandler,
  messageBytesMax,
  type PeerAddress,
  type PeerNetwork,
  type Remote,
  type SelfAddress,
  type ServeHandler,
  type Service,
  type Session,
} from "./ports.ts";

interface MemoryLink {
  peer: PeerAddress;
  service: Service;
  handler: LinkHandler;
  /** Present while up. */
  session: MemorySession | undefined;
  pipe: Pipe;
  /** raft messages that wait for the stream. */
  waiting: Uint8Array[];
  closed: boolean;
}

class MemorySession implements Session {
  readonly remote: Remote;
  readonly server: MemoryNetwork;
  readonly serveHandler: ServeHandler;
  readonly back: Pipe;
  readonly #caller: MemoryNetwork;
  readonly #link: MemoryLink;
  over = false;

  constructor(server: MemoryNetwork, caller: MemoryNetwork, init: { link: MemoryLink; handler: ServeHandler }) {
    this.server = server;
    this.#caller = caller;
    this.#link = init.link;
    this.serveHandler = init.handler;
    this.remote = remoteOfSelf(caller.self);
    this.back = new Pipe(server.hub, init.link.service);
  }

  reply(message: Uint8Array): boolean {
    assert(message.length <= messageBytesMax, "a message is at most 4 MiB");
    if (this.over || this.server.stopped) return false;
    const way = { from: this.server.self.box, to: this.#caller.self.box };
    const remote = remoteOfSelf(this.server.self);
    this.back.carry(way, message.length, () => {
      if (!this.over && this.#link.session === this) this.#link.handler.frame(remote, message);
    });
    return true;
  }

  /** Lets the caller find out: soon, or behind a cut only when the silence has lasted too long. */
  hangUp(reason: string): void {
    const { hub, self } = this.server;
    const delayMs = hub.isCut(self.box, this.#caller.self.box) ? hub.faults.silenceMs : hub.delayMs();
    hub.clock.after(delayMs, () => {
      if (this.#link.session === this) this.#caller.lost(this.#link, reason);
    });
  }
}

/** Messages a raft link keeps while its stream is down. */
const waitingMax = 64;
/** As the bytes limit of the real writer. */
const queueBytesMax = 32 * 1024 * 1024;

/** One process's end of the hub. */
export class MemoryNetwork implements PeerNetwork {
  readonly hub: MemoryHub;
  readonly self: SelfAddress;
  readonly endpoint: string;
  stopped = false;
  /** Who takes bulk transfers here. */
  bulkServer: BulkServer | undefined;
  readonly #linkHandlers = new Map<Service, LinkHandler>();
  readonly #serveHandlers = new Map<Service, ServeHandler>();
  readonly #addresses = new Map<string, PeerAddress>();
  /** By service and box. */
  readonly #links = new Map<string, MemoryLink>();
  readonly #sessions = new Set<MemorySession>();

  constructor(hub: MemoryHub, self: SelfAddress, endpoint: string) {
    this.hub = hub;
    this.self = self;
    this.endpoint = endpoint;
    hub.enter(this);
  }

  onLink(service: Service, handler: LinkHandler): void {
    assert(!this.#linkHandlers.has(service), `one owner of ${service} links`);
    this.#linkHandlers.set(service, handler);
  }

  onServe(service: Service, handler: ServeHandler): void {
    assert(!this.#serveHandlers.has(service), `one server of ${service}`);
    this.#serveHandlers.set(service, handler);
  }

  setPeer(peer: PeerAddress): void {
    if (this.stopped) return;
    this.#addresses.set(peer.box, peer);
    for (const [key, link] of this.#links) {
      if (link.peer.box !== peer.box) continue;
      const moved = link.peer.endpoint !== peer.endpoint || !equalBytes(link.peer.incarnation, peer.incarnation);
      if (!peer.services.includes(link.service)) this.#closeLink(key, link);
      else if (moved) {
        link.peer = peer;
        this.#drop(link, "the peer's address changed");
      }
    }
    for (const service of peer.services) {
      const key = `${service} ${peer.box}`;
      if (this.#links.has(key)) continue;
      const handler = must(this.#linkHandlers.get(service), `owner of ${service} links`);
      const pipe = new Pipe(this.hub, service);
      const link: MemoryLink = { peer, service, handler, session: undefined, pipe, waiting: [], closed: false };
      this.#links.set(key, link);
      this.#connectLater(link);
    }
  }

  address(box: string): PeerAddress | undefined {
    return this.#addresses.get(box);
  }

  removePeer(box: string): void {
    this.#addresses.delete(box);
    for (const [key, link] of [...this.#links]) if (link.peer.box === box) this.#closeLink(key, link);
  }

  send(service: Service, box: string, message: Uint8Array): boolean {
    assert(message.length <= messageBytesMax, "a message is at most 4 MiB");
    const link = this.#links.get(`${service} ${box}`);
    if (link === undefined || this.stopped) return false;
    if (link.session === undefined) {
      if (service !== "raft") return false;
      link.waiting.push(message);
      if (link.waiting.length > waitingMax) link.waiting.shift();
      return true;
    }
    if (link.pipe.bytes + message.length > queueBytesMax) return service === "raft";
    this.#carry(link, link.session, message);
    return true;
  }

  isUp(service: Service, box: string): boolean {
    return this.#links.get(`${service} ${box}`)?.session !== undefined;
  }

  queuedBytes(service: Service, box: string): number {
    return this.#links.get(`${service} ${box}`)?.pipe.bytes ?? 0;
  }

  /** An orderly end and a crash look the same from outside: all streams are gone. */
  async stop(): Promise<void> {
    this.crash();
  }

  crash(): void {
    if (this.stopped) return;
    for (const [key, link] of [...this.#links]) this.#closeLink(key, link);
    this.stopped = true;
    this.hub.leave(this.endpoint);
    for (const session of [...this.#sessions]) this.endSession(session, "closed by the peer");
  }

  /** A new cut: streams through it fall silent now and are found dead later, unless it heals before. */
  cutSeen(): void {
    for (const link of this.#links.values()) {
      const session = link.session;
      if (session === undefined || !this.#isCutOff(link)) continue;
      this.hub.clock.after(this.hub.faults.silenceMs, () => {
        if (link.session === session && this.#isCutOff(link)) this.#drop(link, "silent");
      });
    }
  }

  #isCutOff(link: MemoryLink): boolean {
    const { box } = link.peer;
    return this.hub.isCut(this.self.box, box) || this.hub.isCut(box, this.self.box);
  }

  #carry(link: MemoryLink, session: MemorySession, message: Uint8Array): void {
    link.pipe.carry({ from: this.self.box, to: link.peer.box }, message.length, () => {
      if (!session.over && !session.server.stopped) session.serveHandler.frame(session, message);
    });
  }

  #connectLater(link: MemoryLink): void {
    this.hub.clock.after(this.hub.faults.reconnectMs * (0.5 + this.hub.random.unit()), () => this.#connect(link));
  }

  #connect(link: MemoryLink): void {
    if (link.closed || this.stopped || link.session !== undefined) return;
    const server = this.#isCutOff(link) ? undefined : this.hub.at(link.peer.endpoint);
    const refusal = server === undefined ? "not reachable" : server.accept(this, link);
    if (refusal !== undefined) {
      link.handler.failed?.(link.peer.box, refusal);
      this.#connectLater(link);
      return;
    }
    link.handler.up(remoteOfSelf(must(server, "server").self));
    const waiting = link.waiting;
    link.waiting = [];
    for (const message of waiting) this.send(link.service, link.peer.box, message);
  }

  /** The handshake, as handshake.ts has it; a sentence when refused. */
  accept(caller: MemoryNetwork, link: MemoryLink): string | undefined {
    const handler = this.#serveHandlers.get(link.service);
    if (handler === undefined) return `${link.service} is not served here`;
    const { peer } = link;
    if (caller.self.federation !== this.self.federation || peer.box !== this.self.box) return "another box answers";
    const unknown = link.service === "witness" && peer.incarnation.length === 0;
    if (!unknown && !equalBytes(peer.incarnation, this.self.incarnation)) return "another incarnation answers";
    const refusal = handler.admit(remoteOfSelf(caller.self));
    if (refusal !== undefined) return refusal.message;
    const session = new MemorySession(this, caller, { link, handler });
    for (const older of this.#sessions) {
      if (older.serveHandler === handler && older.remote.box === caller.self.box) this.endSession(older, "replaced");
    }
    this.#sessions.add(session);
    link.session = session;
    return undefined;
  }

  /** Ends an accepted stream; the caller hears of it after a delay. */
  endSession(session: MemorySession, reason: string): void {
    if (!this.#sessions.delete(session)) return;
    session.over = true;
    if (!this.stopped) session.serveHandler.closed(session);
    session.hangUp(reason);
  }

  /** The other side of `link` is gone. */
  lost(link: MemoryLink, reason: string): void {
    if (!this.stopped) this.#drop(link, reason);
  }

  #drop(link: MemoryLink, reason: string): void {
    const session = link.session;
    link.session = undefined;
    if (session !== undefined) {
      session.server.endSession(session, reason);
      link.handler.down(link.peer.box, reason);
    }
    if (!link.closed) this.#connectLater(link);
  }

  #closeLink(key: string, link: MemoryLink): void {
    this.#links.delete(key);
    link.closed = true;
    link.waiting = [];
    this.#drop(link, "closed here");
  }
}

function remoteOfSelf(self: SelfAddress): Remote {
  const { box, incarnation, featureLevel, version } = self;
  return { box, incarnation, featureLevel, version };
}
