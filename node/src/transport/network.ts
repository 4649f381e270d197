import { assert, must } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { Link, type LinkNeeds, type LinkSettings, linkSettings } from "./link.ts";
import type { Listener } from "./listener.ts";
import type { LinkHandler, PeerAddress, PeerNetwork, ServeHandler, Service } from "./ports.ts";
import { Traffic } from "./raw.ts";
import { Sessions } from "./sessions.ts";

/** The peer network over mutual TLS: frame sockets, and gRPC with boxes of earlier versions. */
export class TlsNetwork implements PeerNetwork {
  readonly #needs: LinkNeeds;
  readonly #settings: LinkSettings;
  readonly #linkHandlers = new Map<Service, LinkHandler>();
  readonly #served = new Map<Service, Sessions>();
  readonly #peers = new Map<string, { address: PeerAddress; links: Map<Service, Link> }>();
  /** By service, in and out, since the start. */
  readonly traffic: Record<Service, Traffic> = { raft: new Traffic(), forward: new Traffic(), witness: new Traffic() };
  readonly #removedListeners: ((box: string) => void)[] = [];
  #stopped = false;

  constructor(needs: LinkNeeds, settings: LinkSettings = linkSettings) {
    this.#needs = needs;
    this.#settings = settings;
  }

  onLink(service: Service, handler: LinkHandler): void {
    assert(!this.#linkHandlers.has(service), `one owner of ${service} links`);
    this.#linkHandlers.set(service, handler);
  }

  onServe(service: Service, handler: ServeHandler): void {
    assert(!this.#served.has(service), `one server of ${service}`);
    const { clock, self } = this.#needs;
    const needs = {
      clock,
      self,
      handshakeTimeoutMs: this.#settings.handshakeTimeoutMs,
      traffic: this.traffic[service],
    };
    this.#served.set(service, new Sessions(needs, service, handler));
  }

  /** Adds the served services to a peer listener, before it starts. */
  serveOn(listener: Pick<Listener, "grpc" | "onFrames">): void {
    for (const sessions of this.#served.values()) sessions.serveOn(listener);
  }

  setPeer(peer: PeerAddress): void {
    if (this.#stopped) return;
    const known = this.#peers.get(peer.box) ?? { address: peer, links: new Map<Service, Link>() };
    const moved = known.address.endpoint !== peer.endpoint || !equalBytes(known.address.incarnation, peer.incarnation);
    known.address = peer;
    this.#peers.set(peer.box, known);
    for (const [service, link] of known.links) {
      if (!peer.services.includes(service)) {
        known.links.delete(service);
        link.close();
      } else if (moved) link.move(peer);
    }
    for (const service of peer.services) {
      if (known.links.has(service)) continue;
      const handler = must(this.#linkHandlers.get(service), `owner of ${service} links`);
      known.links.set(
        service,
        new Link(this.#needs, { service, peer, handler, settings: this.#settings, traffic: this.traffic[service] }),
      );
    }
  }

  address(box: string): PeerAddress | undefined {
    return this.#peers.get(box)?.address;
  }

  removePeer(box: string): void {
    const known = this.#peers.get(box);
    this.#peers.delete(box);
    for (const link of known?.links.values() ?? []) link.close();
    for (const listener of this.#removedListeners) listener(box);
  }

  /** Told of each box that is a peer no more: what others keep open to it has no more use. */
  onRemoved(listener: (box: string) => void): void {
    this.#removedListeners.push(listener);
  }

  send(service: Service, box: string, message: Uint8Array): boolean {
    const link = this.#peers.get(box)?.links.get(service);
    if (link === undefined) return false;
    if (service !== "raft" && !link.isUp) return false;
    return link.writer.push(message);
  }

  isUp(service: Service, box: string): boolean {
    return this.#peers.get(box)?.links.get(service)?.isUp ?? false;
  }

  queuedBytes(service: Service, box: string): number {
    return this.#peers.get(box)?.links.get(service)?.writer.queuedBytes ?? 0;
  }

  /** Peers with an open stream of the service, for metrics: out and in. */
  connections(service: Service): { out: number; in: number } {
    let out = 0;
    for (const { links } of this.#peers.values()) if (links.get(service)?.isUp) out++;
    return { out, in: this.#served.get(service)?.size ?? 0 };
  }

  /** Bytes that wait for all peers' streams of the service. */
  waitingBytes(service: Service): number {
    let bytes = 0;
    for (const { links } of this.#peers.values()) bytes += links.get(service)?.writer.queuedBytes ?? 0;
    return bytes;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const box of [...this.#peers.keys()]) this.removePeer(box);
    for (const sessions of this.#served.values()) sessions.closeAll();
  }
}
