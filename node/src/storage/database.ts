// Applied state of all logs of a box in one store.
//
// The problem: every turn applies entries of many logs; each log's state and its applied index must change together, and
// the log (log/) may drop entries only once their effect cannot be lost. Syncing each batch would double the flushes of
// the write path. So batches are written unsynced, all logs of a turn in one, and a flush in the background teaches
// which applied index a power cut cannot take back. A received snapshot fills a state beside the live one and is made
// live by a pointer (keys.ts), so that a crash in between leaves the old one.

import { assert } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { NexusError } from "../base/errors.ts";
import type { StateKey, StateStore, StateWrite } from "../machine/store.ts";
import type { DurableStore, WritePart } from "./durable-store.ts";
import {
  afterPrefix,
  boxFormatVersion,
  formatKey,
  logPrefix,
  parsePointerKey,
  parseStateId,
  pointerKey,
  pointerSpace,
  positionKey,
  positionSpace,
  type StateId,
  statePrefix,
  stateSpace,
  u32,
  u64,
} from "./keys.ts";
import { namingLog, StateView } from "./view.ts";

export interface DatabaseSettings {
  /** A background flush begins when this much was written since the last, ... */
  flushBytes: number;
  /** ... or this long after the first write since then. */
  flushAfterMs: number;
}
const defaultDatabaseSettings: DatabaseSettings = { flushBytes: 16 << 20, flushAfterMs: 1000 };

export interface DatabaseNeeds {
  store: DurableStore;
  clock: Clock;
  /** A failure after which nothing written can be trusted: the process must end. Called at most once. */
  onFatal: (error: unknown) => void;
}

/** Where a state stands: what the host keeps with the applied index (term, configuration, ...). */
export interface Position {
  appliedIndex: number;
  data: Uint8Array;
}

/** What one turn changed in one state. */
export interface StateChange {
  id: StateId;
  writes: readonly StateWrite[];
  position?: Position;
}

export class BoxDatabase {
  readonly #needs: DatabaseNeeds;
  readonly #settings: DatabaseSettings;
  /** Applied index by position key: as written, and as known durable. */
  readonly #applied = new Map<StateKey, number>();
  readonly #synced = new Map<StateKey, number>();
  #unflushedBytes = 0;
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;
  #isFatal = false;

  private constructor(needs: DatabaseNeeds, settings: DatabaseSettings) {
    this.#needs = needs;
    this.#settings = settings;
  }

  /** Checks the format (VERSION when it is another), drops states that are not live, makes what is there durable. */
  static async open(needs: DatabaseNeeds, settings: Partial<DatabaseSettings> = {}): Promise<BoxDatabase> {
    const database = new BoxDatabase(needs, { ...defaultDatabaseSettings, ...settings });
    database.#checkFormat();
    database.#sweep();
    for (const id of database.states()) {
      const position = unlessCorrupt(() => database.position(id));
      if (position !== undefined) database.#applied.set(positionKey(id), position.appliedIndex);
    }
    await database.flush();
    return database;
  }

  #checkFormat(): void {
    const { store } = this.#needs;
    const found = store.get(formatKey);
    if (found === undefined) {
      store.write([{ key: formatKey, value: utf8(String(boxFormatVersion)) }]);
      return;
    }
    const version = Number(Buffer.from(found).toString());
    if (version === boxFormatVersion) return;
    const how =
      version > boxFormatVersion
        ? "start the newer version again"
        : "start the older version again, or empty the box's folder so that it is filled from the other members";
    throw new NexusError(
      "VERSION",
      `The state on this disk has format ${version}, this box reads format ${boxFormatVersion}: ${how}.`,
    );
  }

  /** Deletes what an install or a restore left behind. */
  #sweep(): void {
    const { store } = this.#needs;
    for (const space of [positionSpace, stateSpace]) {
      let from = space.from;
      for (;;) {
        const [first] = store.keys({ from, to: space.to, limit: 1 });
        if (first === undefined) break;
        const id = parseStateId(first);
        const prefix = first.slice(0, 17);
        const live = unlessCorrupt(() => this.live(id.log, id.generation));
        if (live !== undefined && live.slot !== id.slot) store.deleteRange(prefix, afterPrefix(prefix));
        from = afterPrefix(prefix);
      }
    }
  }

  /** The live states; slot 0 for one whose pointer is damaged: reading it is CORRUPT. */
  states(): StateId[] {
    const { store } = this.#needs;
    const found = new Map<StateKey, StateId>();
    const logs = [...store.keys(pointerSpace).map(parsePointerKey), ...store.keys(positionSpace).map(parseStateId)];
    for (const { log, generation } of logs) {
      const id = unlessCorrupt(() => this.live(log, generation)) ?? { log, generation, slot: 0 };
      found.set(pointerKey(log, generation), id);
    }
    return [...found.values()];
  }

  /** The state that is live, or would be: slot 0 before anything was written. Throws CORRUPT naming the log. */
  live(log: number, generation: number): StateId {
    const pointer = namingLog({ log, generation }, () => this.#needs.store.get(pointerKey(log, generation)));
    const slot = pointer === undefined ? 0 : Buffer.from(pointer).readUInt32BE(0);
    return { log, generation, slot };
  }

  /** An empty state beside the live one, to be filled and installed. What was there of an attempt before is deleted. */
  beside(log: number, generation: number): StateId {
    const live = unlessCorrupt(() => this.live(log, generation))?.slot ?? this.#highestSlot(log, generation);
    for (let slot = live + 1; ; slot++) {
      const id = { log, generation, slot };
      this.#delete(id);
      if (this.#isEmpty(id)) return id;
    }
  }

  /** False when rows could not be deleted because a damaged block is in the way. */
  #isEmpty(id: StateId): boolean {
    const prefix = statePrefix(id);
    const range = { from: prefix, to: afterPrefix(prefix), limit: 1 };
    return unlessCorrupt(() => namingLog(id, () => this.#needs.store.keys(range)))?.length === 0;
  }

  #highestSlot(log: number, generation: number): number {
    const prefix = logPrefix("\x03", log, generation);
    const [last] = this.#needs.store.keys({ from: prefix, to: afterPrefix(prefix), reverse: true, limit: 1 });
    return last === undefined ? 0 : parseStateId(last).slot;
  }

  view(id: StateId): StateView {
    return new StateView(this.#needs.store, id, this.#giveUp);
  }

  /** The state as it was last committed, for reads spread over time. To be closed. */
  freeze(id: StateId): { view: StateView; close(): void } {
    const prefix = statePrefix(id);
    const frozen = this.#needs.store.freeze({ from: prefix, to: afterPrefix(prefix) });
    return { view: new StateView(frozen, id, this.#giveUp), close: () => frozen.close() };
  }

  /**
   * A state that cannot be read is served no more: the next start finds an empty one in its place, which the log's
   * replica fills from its log or, when that no longer reaches back, from another member.
   */
  readonly #giveUp = (id: StateId, error: NexusError): void => {
    const live = unlessCorrupt(() => this.live(id.log, id.generation));
    if (this.#isFatal || live?.slot !== id.slot) return;
    giveUp(this.#needs.store, id);
    this.#fatal(error);
  };

  /** Throws CORRUPT naming the log. */
  position(id: StateId): Position | undefined {
    const stored = namingLog(id, () => this.#needs.store.get(positionKey(id)));
    if (stored === undefined) return undefined;
    const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
    const appliedIndex = bytes.readUInt32BE(0) * 0x1_0000_0000 + bytes.readUInt32BE(4);
    return { appliedIndex, data: stored.subarray(8) };
  }

  /** One batch for all: atomic, visible at once, not yet durable. */
  commit(changes: readonly StateChange[]): void {
    const parts: WritePart[] = [];
    const positions: StateWrite[] = [];
    for (const { id, writes, position } of changes) {
      parts.push({ prefix: statePrefix(id), writes });
      if (position !== undefined) positions.push({ key: positionKey(id), value: encodePosition(position) });
    }
    parts.push({ prefix: "", writes: positions });
    try {
      this.#needs.store.writeAll(parts);
    } catch (error) {
      this.#fatal(error);
      throw error;
    }
    for (const { id, position } of changes) {
      if (position !== undefined) this.#applied.set(positionKey(id), position.appliedIndex);
    }
    for (const { writes } of parts) {
      for (const { key, value } of writes) this.#unflushedBytes += key.length + (value?.length ?? 0);
    }
    this.#scheduleFlush();
  }

  /** Highest applied index that a power cut cannot take back; 0 when none. The log may be compacted up to here. */
  syncedAppliedIndex(id: StateId): number {
    return this.#synced.get(positionKey(id)) ?? 0;
  }

  #scheduleFlush(): void {
    if (this.#flushing !== undefined || this.#isFatal) return;
    if (this.#unflushedBytes >= this.#settings.flushBytes) void this.flush().catch(() => {});
    else this.#timer ??= this.#needs.clock.after(this.#settings.flushAfterMs, () => void this.flush().catch(() => {}));
  }

  /** Resolves when everything committed before the call is durable. */
  async flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing.catch(() => {});
    this.#flushing = this.#flushNow();
    try {
      await this.#flushing;
    } finally {
      this.#flushing = undefined;
    }
    if (this.#unflushedBytes > 0) this.#scheduleFlush();
  }

  async #flushNow(): Promise<void> {
    const { store } = this.#needs;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#unflushedBytes = 0;
    const applied = [...this.#applied];
    try {
      await store.flush();
      const errors = store.backgroundErrors;
      if (errors > 0)
        throw new NexusError("INTERNAL", `RocksDB reports ${errors} background errors: restart this box.`);
    } catch (error) {
      this.#fatal(error);
      throw error;
    }
    for (const [key, index] of applied) if (this.#applied.has(key)) this.#synced.set(key, index);
  }

  #fatal(error: unknown): void {
    if (this.#isFatal) return;
    this.#isFatal = true;
    this.#needs.onFatal(error);
  }

  /** Makes a filled state the live one; durable when resolved. The former one is deleted. */
  async install(id: StateId): Promise<void> {
    const former = unlessCorrupt(() => this.live(id.log, id.generation));
    assert(former?.slot !== id.slot, "only a state beside the live one is installed");
    await this.flush();
    this.#needs.store.write([{ key: pointerKey(id.log, id.generation), value: Buffer.from(u32(id.slot), "latin1") }]);
    await this.flush();
    if (former !== undefined) this.#delete(former);
  }

  /** Deletes a log's state in all slots, damaged or not; durable with the flush that this makes due. */
  drop(log: number, generation: number): void {
    const { store } = this.#needs;
    store.write([{ key: pointerKey(log, generation), value: undefined }]);
    for (const space of ["\x02", "\x03"] as const) {
      const prefix = logPrefix(space, log, generation);
      for (const known of this.#applied.keys()) if (known.startsWith(prefix)) this.#applied.delete(known);
      for (const known of this.#synced.keys()) if (known.startsWith(prefix)) this.#synced.delete(known);
      store.deleteRange(prefix, afterPrefix(prefix));
      this.#unflushedBytes += prefix.length;
    }
    this.#scheduleFlush();
  }

  #delete(id: StateId): void {
    const prefix = statePrefix(id);
    this.#needs.store.write([{ key: positionKey(id), value: undefined }]);
    this.#needs.store.deleteRange(prefix, afterPrefix(prefix));
    this.#applied.delete(positionKey(id));
    this.#synced.delete(positionKey(id));
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    if (!this.#isFatal) await this.flush();
    this.#timer?.cancel();
    await this.#needs.store.close();
  }
}

/** Points at a slot that nothing was ever written to: the one behind the next, which an install may have used. */
export function giveUp(store: StateStore, id: StateId): void {
  store.write([
    { key: positionKey(id), value: undefined },
    { key: pointerKey(id.log, id.generation), value: Buffer.from(u32(id.slot + 2), "latin1") },
  ]);
}

/** Damage of one log must not keep the box from starting: whoever opens that log meets it again. */
function unlessCorrupt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof NexusError && error.code === "CORRUPT") return undefined;
    throw error;
  }
}

function encodePosition(position: Position): Uint8Array {
  const out = Buffer.allocUnsafe(8 + position.data.length);
  out.write(u64(position.appliedIndex), 0, "latin1");
  out.set(position.data, 8);
  return out;
}
