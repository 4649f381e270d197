import type { Message } from "../raft/messages.ts";
import type { HostCore } from "./core.ts";
import { chunksOf, EntryKind } from "./entry.ts";
import type { Replica } from "./replica.ts";

interface Held {
  term: number;
  messages: Message[];
}

/**
 * A member acknowledges an entry only when the chunks it refers to are durable here. So an append with chunks that are
 * missing waits outside the core until they were fetched. It waits before and not after the core's write, so that votes
 * and terms never wait for content: if the leader dies meanwhile, the entries were simply never received.
 */
export class ChunkHold {
  readonly #core: HostCore;
  readonly #held = new Map<Replica, Held>();
  /** Steps a message that may go on. */
  readonly #release: (replica: Replica, message: Message) => void;

  constructor(core: HostCore, release: (replica: Replica, message: Message) => void) {
    this.#core = core;
    this.#release = release;
  }

  /** True when the message is kept: it lacks chunks, or follows one that does. */
  holds(replica: Replica, m: Message, fromBox: string): boolean {
    if (m.type !== "MsgApp") return false;
    const held = this.#held.get(replica);
    if (held !== undefined) {
      if (m.term < held.term) return false;
      if (m.term > held.term) this.#held.delete(replica);
      else {
        if (held.messages.length < this.#core.settings.heldCountMax) held.messages.push(m);
        return true;
      }
    }
    const missing = this.#missing(m);
    if (missing.length === 0) return false;
    const fresh: Held = { term: m.term, messages: [m] };
    this.#held.set(replica, fresh);
    this.#fetch(replica, { held: fresh, missing, fromBox });
    return true;
  }

  forget(replica: Replica): void {
    this.#held.delete(replica);
  }

  #missing(m: Message): Uint8Array[] {
    const { chunks } = this.#core.needs;
    const missing: Uint8Array[] = [];
    for (const entry of m.entries) {
      if (entry.type !== "EntryNormal" || entry.data[0] !== EntryKind.commandWithChunks) continue;
      for (const address of chunksOf(entry.data)) if (!chunks.has(address)) missing.push(address);
    }
    return missing;
  }

  #fetch(replica: Replica, wait: { held: Held; missing: Uint8Array[]; fromBox: string }): void {
    const { held, missing, fromBox } = wait;
    const boxes = new Set([fromBox]);
    for (const { box, role } of replica.config.members) {
      if (role !== "witness" && box !== this.#core.self.box) boxes.add(box);
    }
    // What is given up the leader sends again after its next heartbeat, and then it is tried again.
    const giveUp = () => {
      if (this.#held.get(replica) === held) this.#held.delete(replica);
    };
    const { needs, settings } = this.#core;
    const timer = needs.clock.after(settings.chunkWaitMs, giveUp);
    needs.chunks.fetch(replica.log, missing, [...boxes]).then(
      () => {
        timer.cancel();
        this.#resume(replica, held);
      },
      () => {
        timer.cancel();
        giveUp();
      },
    );
  }

  #resume(replica: Replica, held: Held): void {
    if (this.#held.get(replica) !== held) return;
    this.#held.delete(replica);
    // The first is looked at again too: what was here when the wait began may have been collected meanwhile.
    for (const [at, m] of held.messages.entries()) {
      const missing = this.#missing(m);
      if (missing.length === 0) {
        this.#release(replica, m);
        continue;
      }
      const next: Held = { term: held.term, messages: held.messages.slice(at) };
      this.#held.set(replica, next);
      this.#fetch(replica, { held: next, missing, fromBox: replica.leaderBox });
      return;
    }
  }
}
