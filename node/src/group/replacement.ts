import { message } from "../raft/messages.ts";
import type { Remote } from "../transport/ports.ts";
import type { HostCore } from "./core.ts";
import { notApplied } from "./pending.ts";
import type { Replica } from "./replica.ts";
import type { WireMessage } from "./wire.ts";

/** Pause between two requests for one log, ms. */
const pauseMs = 1_000;

/** How a replica that lost data gets a successor: it asks, and the leader adds a new replica id in its place. */
export class Replacement {
  readonly #core: HostCore;
  readonly #wake: (replica: Replica) => void;
  readonly #nextMs = new Map<number, number>();

  constructor(core: HostCore, wake: (replica: Replica) => void) {
    this.#core = core;
    this.#wake = wake;
  }

  /**
   * The replica misses what it acknowledged: it is mute from here on, and at every later start, until a leader calls for
   * its successor. Not only for what it would acknowledge: with its vote, one without those entries could be elected.
   */
  lost(replica: Replica, reason: string): void {
    const { records, turns, needs } = this.#core;
    const { log, generation } = replica;
    replica.mute = true;
    replica.node.stepDown();
    replica.abandon(notApplied(""));
    turns.write([records.set({ ...records.of(log, generation), lost: reason })], () => {});
    turns.leadership(replica);
    needs.logger?.error?.(`log ${log}: needs replication: ${reason}`);
  }

  /** Asks every full member that is known, and whoever just spoke. */
  ask(replica: Replica, speaker?: string): void {
    const { needs, self } = this.#core;
    const now = needs.clock.now();
    if (now < (this.#nextMs.get(replica.log) ?? 0)) return;
    const boxes = new Set(replica.config.members.filter((one) => one.role !== "witness").map((one) => one.box));
    if (speaker !== undefined) boxes.add(speaker);
    boxes.delete(self.box);
    // Who knows nobody yet has to wait for a speaker, and must not pause then.
    if (boxes.size === 0) return;
    this.#nextMs.set(replica.log, now + pauseMs);
    for (const box of boxes) this.#tell(box, replica, replica.id);
  }

  /**
   * Somebody spoke to a replica in whose place this one stands: it is gone for good. Who led when the successor was
   * called knew that; whoever leads since may not, and would count on both.
   */
  succeeded(from: Remote, replica: Replica, id: number): void {
    this.#tell(from.box, replica, id);
  }

  #tell(box: string, { log, generation }: Replica, id: number): void {
    const m = message("MsgHup", 0);
    m.from = id;
    this.#core.outbox.add(box, { log, generation, message: m, host: "HostReseed" });
  }

  /** A member says that it lost data. Only the box itself may say so. */
  asked(from: Remote, wire: WireMessage): void {
    const replica = this.#core.replicas.get(wire.log);
    const member = replica?.config.members.find((one) => one.replica === wire.message.from);
    if (replica === undefined || member?.box !== from.box || member.role === "witness") return;
    replica.lost.add(member.replica);
    this.#wake(replica);
  }
}
