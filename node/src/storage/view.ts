import { NexusError } from "../base/errors.ts";
import type { ScanRange, StateKey, StatePair, StateStore, StateWrite } from "../machine/store.ts";
import { type PrefixedReads, prefixed } from "./durable-store.ts";
import { afterPrefix, type StateId, statePrefix } from "./keys.ts";

/**
 * One state of one log as a store of its own. A failed checksum, ours or RocksDB's, is CORRUPT and names the log; the
 * owner is told before it is thrown.
 */
export class StateView implements StateStore {
  readonly id: StateId;
  readonly #store: StateStore & PrefixedReads;
  readonly #prefix: StateKey;
  readonly #end: StateKey;
  readonly #damaged: (id: StateId, error: NexusError) => void;

  constructor(
    store: StateStore & PrefixedReads,
    id: StateId,
    damaged: (id: StateId, error: NexusError) => void = () => {},
  ) {
    this.id = id;
    this.#store = store;
    this.#damaged = damaged;
    this.#prefix = statePrefix(id);
    this.#end = afterPrefix(this.#prefix);
  }

  get(key: StateKey): Uint8Array | undefined {
    return this.#reading(() => this.#store.getIn(this.#prefix, key));
  }

  scan(range: ScanRange): Iterable<StatePair> {
    const from = this.#prefix + range.from;
    const to = range.to === undefined ? this.#end : this.#prefix + range.to;
    const pairs = this.#reading(() => this.#store.scan({ ...range, from, to }));
    return this.#stripped(pairs[Symbol.iterator]());
  }

  *#stripped(pairs: Iterator<StatePair>): Iterable<StatePair> {
    try {
      for (;;) {
        const next = this.#reading(() => pairs.next());
        if (next.done) return;
        yield { key: next.value.key.slice(this.#prefix.length), value: next.value.value };
      }
    } finally {
      pairs.return?.();
    }
  }

  #reading<T>(read: () => T): T {
    try {
      return namingLog(this.id, read);
    } catch (error) {
      if (error instanceof NexusError && error.code === "CORRUPT") this.#damaged(this.id, error);
      throw error;
    }
  }

  /** A batch of its own, without an applied index: for filling a state that is not live. */
  write(batch: readonly StateWrite[]): void {
    this.#store.write(batch.map((write) => prefixed(this.#prefix, write)));
  }
}

/** Runs `read`; a CORRUPT error then says whose data it was. */
export function namingLog<T>(id: Pick<StateId, "log" | "generation">, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw new NexusError("CORRUPT", `State of log ${id.log} is damaged and must be re-replicated: ${error.message}`, {
      cause: error,
      refusal: { details: { log: String(id.log), generation: String(id.generation) } },
    });
  }
}

/** Our own checksum of a value, or RocksDB's of a block. */
export function isDamage(error: unknown): error is Error {
  if (error instanceof NexusError) return error.code === "CORRUPT";
  return error instanceof Error && error.message.startsWith("Corruption:");
}
