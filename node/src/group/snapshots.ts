import type { GroupConfig, RaftMessage } from "@nexus-federation/proto/raft.ts";
import { Backoff } from "../base/backoff.ts";
import { messageOf, NexusError, type Refusal, refuse } from "../base/errors.ts";
import { type Message, message } from "../raft/messages.ts";
import type { Remote, SnapshotStart } from "../transport/ports.ts";
import { confStateOf, memberOf } from "./config.ts";
import { readConfig } from "./config-bytes.ts";
import { boxOf, type HostCore, isSelf } from "./core.ts";
import type { Delivery } from "./delivery.ts";
import type { StateRestore } from "./ports.ts";
import type { PreparedSnapshot, Replica } from "./replica.ts";
import type { WireMessage } from "./wire.ts";
import { WireError } from "./wire-bytes.ts";

/** Number of MsgSnap on the wire (wire.ts). */
const snapshotType = 6;

/** How long the backoff of a receiver is remembered after its pause has ended, ms. */
const backoffKeptMs = 60_000;

interface Sending {
  box: string;
  index: number;
  /** Ends it, whatever the transfer does. Only the first call counts. */
  finish: (refusal: Refusal | undefined) => void;
}

/** Snapshots in both directions: the applied state as a bulk stream, never held in memory as a whole. */
export class Snapshots {
  readonly #core: HostCore;
  readonly #delivery: () => Delivery;
  /** By replica and receiver. */
  readonly #sending = new Map<string, Sending>();
  readonly #receiving = new Set<number>();
  /** By log, since the start: sent whole, and made the live state here. */
  readonly counts = new Map<number, { sent: number; received: number }>();
  readonly #backoffs = new Map<string, { backoff: Backoff; untilMs: number }>();

  constructor(core: HostCore, delivery: () => Delivery) {
    this.#core = core;
    this.#delivery = delivery;
  }

  mayStart(): boolean {
    return this.#sending.size < this.#core.settings.snapshotsMax;
  }

  /** Entries after this index must stay in the log: a receiver of a snapshot will ask for them. */
  floor(log: number): number {
    let floor = Number.MAX_SAFE_INTEGER;
    for (const [key, { index }] of this.#sending) if (key.startsWith(`${log}/`)) floor = Math.min(floor, index);
    return floor;
  }

  /** The core wants its follower to have a snapshot; it hears how that went. */
  send(replica: Replica, m: Message): void {
    const key = `${replica.log}/${m.to}`;
    const box = boxOf(this.#core, replica, m.to);
    const now = this.#core.needs.clock.now();
    const waits = (this.#backoffs.get(key)?.untilMs ?? 0) > now;
    if (box === undefined || waits || this.#sending.has(key)) {
      this.#report(replica, m.to, true);
      return;
    }
    const snapshot = replica.state.snapshot();
    const abort = new AbortController();
    const finish = (refusal: Refusal | undefined) => {
      if (this.#sending.get(key)?.finish !== finish) return;
      this.#sending.delete(key);
      abort.abort();
      snapshot.close();
      this.#note(key, refusal);
      if (refusal === undefined) this.#countOf(replica.log).sent++;
      if (this.#core.replicas.get(replica.log) === replica) this.#report(replica, m.to, refusal !== undefined);
    };
    this.#sending.set(key, { box, index: snapshot.position.index, finish });
    const { index, term, epoch, config } = snapshot.position;
    const { log, generation } = replica;
    const meta = { index, term, epoch, conf: Buffer.from(config), generation };
    const start: SnapshotStart = { log, message: { ...bare(m), log, generation, snapshot: meta } };
    const options = { source: framed(snapshot.pieces()), signal: abort.signal };
    this.#core.needs.bulk
      .sendSnapshot(box, start, options)
      .then(finish, (error: unknown) => finish(refuse("ZONE_UNAVAILABLE", messageOf(error))));
  }

  /** The box's streams broke: what is on its way to it will not arrive. */
  down(box: string): void {
    for (const sending of [...this.#sending.values()]) {
      if (sending.box === box) sending.finish(refuse("ZONE_UNAVAILABLE", `box ${box} went away`));
    }
  }

  #note(key: string, refusal: Refusal | undefined): void {
    if (refusal === undefined) {
      this.#backoffs.delete(key);
      return;
    }
    const { settings, needs } = this.#core;
    const now = needs.clock.now();
    // A receiver that nobody tried for so long is gone, or starts anew.
    for (const [known, { untilMs }] of this.#backoffs) {
      if (untilMs + backoffKeptMs < now) this.#backoffs.delete(known);
    }
    const limits = { firstMs: settings.snapshotRetryMs, maxMs: settings.snapshotRetryMaxMs, factor: 2 };
    const { backoff } = this.#backoffs.get(key) ?? { backoff: new Backoff(needs.random, limits) };
    this.#backoffs.set(key, { backoff, untilMs: now + backoff.nextMs() });
    needs.logger?.warning?.(`snapshot ${key} failed: ${refusal.message}`);
  }

  isReceiving(log: number): boolean {
    return this.#receiving.has(log);
  }

  #countOf(log: number): { sent: number; received: number } {
    const known = this.counts.get(log) ?? { sent: 0, received: 0 };
    this.counts.set(log, known);
    return known;
  }

  #report(replica: Replica, to: number, failed: boolean): void {
    replica.node.reportSnapshot(to, failed);
    this.#core.turns.mark(replica);
  }

  /** A bulk stream from a leader. Undefined once the state is live here, and durable. */
  async receive(from: Remote, start: SnapshotStart, data: AsyncIterable<Uint8Array>): Promise<Refusal | undefined> {
    const wire = wireOf(start.message);
    if ("code" in wire) return wire;
    const replica = this.#delivery().replicaFor(from, wire);
    if (replica === undefined) return refuse("PRECONDITION_FAILED", "this replica is not meant, or may not take it");
    const { log } = replica;
    const busy = this.#receiving.has(log) || replica.installing || replica.prepared !== undefined;
    if (busy || this.#receiving.size >= this.#core.settings.snapshotsMax) {
      return refuse("OVERLOADED", "too many snapshots are being received", { retryAfterMs: 200 });
    }
    this.#receiving.add(log);
    const restore = replica.state.restore();
    try {
      const refusal = await this.#fill(replica, { from: from.box, wire, restore, data });
      if (refusal === undefined) this.#countOf(log).received++;
      return refusal;
    } catch (error) {
      restore.abort();
      return refuse("CORRUPT", `the snapshot was not taken: ${messageOf(error)}`);
    } finally {
      this.#receiving.delete(log);
    }
  }

  async #fill(
    replica: Replica,
    received: { from: string; wire: WireMessage; restore: StateRestore; data: AsyncIterable<Uint8Array> },
  ): Promise<Refusal | undefined> {
    const { from, wire, restore, data } = received;
    const snapshot = wire.message.snapshot;
    if (snapshot === undefined) return refuse("INVALID", "the snapshot is missing");
    const { index, term, epoch } = snapshot;
    const config = readConfig(wire.conf);
    const member = memberOf(config, replica.id);
    if (member === undefined || !isSelf(this.#core.self, member)) {
      return refuse("PRECONDITION_FAILED", "the snapshot's configuration means another box or incarnation");
    }
    for await (const piece of unframed(data)) restore.add(piece);
    await restore.finish({ index, term, epoch, config: wire.conf });
    await this.#fetchChunks(restore, { log: replica.log, boxes: this.#holders(config, from) });
    if (this.#core.replicas.get(replica.log) !== replica)
      throw new NexusError("ZONE_UNAVAILABLE", "the replica was removed");
    const prepared = { restore, position: { index, term, epoch, config: wire.conf } };
    replica.prepared = prepared;
    const m: Message = { ...wire.message, snapshot: { ...snapshot, confState: confStateOf(config) } };
    return new Promise((resolve) => {
      this.#delivery().enqueuePrepared(replica, m);
      replica.appliedWaiters.add(index, Number.POSITIVE_INFINITY, (refusal) => {
        // The core may have got there by entries, and have no use for it.
        if (replica.prepared === prepared) {
          replica.prepared = undefined;
          restore.abort();
        }
        resolve(refusal);
      });
      this.#giveUpLater(replica, prepared, resolve);
    });
  }

  /** What the core did not take by then it never will. */
  #giveUpLater(replica: Replica, prepared: PreparedSnapshot, resolve: (refusal: Refusal) => void): void {
    this.#core.needs.clock.after(this.#core.settings.snapshotRetryMs, () => {
      if (replica.prepared !== prepared) return;
      if (replica.installing || replica.node.raft.log.hasSnapshot()) {
        this.#giveUpLater(replica, prepared, resolve);
        return;
      }
      replica.prepared = undefined;
      prepared.restore.abort();
      resolve(refuse("PRECONDITION_FAILED", "the replica has no use for this snapshot"));
    });
  }

  /** Who may hold the chunks of a snapshot: a new replica knows no members yet, so the snapshot's own count. */
  #holders(config: GroupConfig, from: string): string[] {
    const others = config.members.filter(({ box, role }) => role !== "witness" && box !== this.#core.self.box);
    return [...new Set([from, ...others.map((member) => member.box)])];
  }

  async #fetchChunks(restore: StateRestore, { log, boxes }: { log: number; boxes: string[] }): Promise<void> {
    const { chunks } = this.#core.needs;
    let missing: Uint8Array[] = [];
    for (const address of restore.chunks()) {
      if (chunks.has(address)) continue;
      missing.push(address);
      if (missing.length < 64) continue;
      await chunks.fetch(log, missing, boxes);
      missing = [];
    }
    if (missing.length > 0) await chunks.fetch(log, missing, boxes);
  }

  stop(): void {
    for (const { finish } of [...this.#sending.values()]) finish(refuse("ZONE_UNAVAILABLE", "this box stops"));
  }
}

/** A piece of a snapshot is not longer; a longer one is no snapshot. */
const pieceBytesMax = 64 * 1024 * 1024;

/** Pieces with their lengths in front: the stream cuts bytes as it likes. */
async function* framed(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(piece.length);
    yield length;
    yield piece;
  }
}

/** The inverse of `framed`, however the bytes were cut. */
async function* unframed(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let gathered = 0;
  for await (const bytes of data) {
    parts.push(bytes);
    gathered += bytes.length;
    if (gathered < neededBytes(parts)) continue;
    let rest: Uint8Array = parts.length === 1 ? bytes : Buffer.concat(parts);
    for (let size = neededBytes([rest]); rest.length >= size; size = neededBytes([rest])) {
      yield rest.subarray(4, size);
      rest = rest.subarray(size);
    }
    parts = rest.length === 0 ? [] : [rest];
    gathered = rest.length;
  }
  if (gathered > 0) throw new WireError("the stream ends within a piece");
}

/** Bytes of the first piece with its length; 4 while that is not known, which is more than there is. */
function neededBytes(parts: readonly Uint8Array[]): number {
  const [first] = parts;
  const head = first !== undefined && first.length >= 4 ? first : Buffer.concat(parts);
  if (head.length < 4) return 4;
  const length = Buffer.from(head.buffer, head.byteOffset, 4).readUInt32LE();
  if (length > pieceBytesMax)
    throw new WireError(`a piece of ${length} bytes is too long, at most ${pieceBytesMax} are taken`);
  return 4 + length;
}

function bare(m: Message): RaftMessage {
  return {
    log: 0,
    generation: 0,
    from: m.from,
    to: m.to,
    type: snapshotType,
    term: m.term,
    logTerm: 0,
    index: 0,
    commit: 0,
    entries: [],
    reject: false,
    rejectHint: 0,
    context: Buffer.alloc(0),
    snapshot: undefined,
    vote: 0,
    epoch: 0,
    quiesce: false,
  };
}

function wireOf(raw: RaftMessage): WireMessage | Refusal {
  if (raw.snapshot === undefined || raw.type !== snapshotType) {
    return refuse("INVALID", "a snapshot names its index, term and configuration");
  }
  const m = message("MsgSnap", raw.to);
  m.from = raw.from;
  m.term = raw.term;
  const { index, term, epoch, conf } = raw.snapshot;
  const config = configIn(conf);
  if ("code" in config) return config;
  m.snapshot = { index, term, epoch, confState: confStateOf(config), data: new Uint8Array(0) };
  const { log, generation } = raw;
  return { log, generation, quiesce: false, host: undefined, message: m, conf };
}

function configIn(conf: Uint8Array): GroupConfig | Refusal {
  try {
    return readConfig(conf);
  } catch (error) {
    return refuse("INVALID", `snapshot: ${messageOf(error)}`);
  }
}
