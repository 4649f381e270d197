// The replicated state machine of a zone: files, locks, requests, the change feed, what the zone owns. The problem: every
// replica must come to the same bytes from the same log, a retry must never act twice, and 40k commands a second leave
// some microseconds each. Why not a database transaction per command: it costs a write each, and its clocks and locks are
// another source of truth. Sketch: one synchronous `apply` per committed entry, over an overlay that the host drains as
// one batch a turn; time is the log's own (stamped into commands), ids are counters, nothing else is random. A command
// runs in an undoable transaction: a refusal is an answer that changed nothing. Everything a follower needs to go on as
// leader (remembered requests, fences, waiters, the feed's floor) is stored and so travels in the snapshot.
import { Command, type Reply } from "@nexus-federation/proto/command.ts";
import type { FileInfo, Listing, LockState } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { noBytes } from "../base/bytes.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type {
  Applied,
  FeedOutcome,
  HeldLock,
  ListOptions,
  LogEntry,
  Ownership,
  ReadOutcome,
  ZonePolicy,
} from "./api.ts";
import { survivesEncoding } from "./canonical.ts";
import { chunkListOf, referencedChunks, refersToChunk } from "./chunks.ts";
import { checkPath, findPlace, notFound } from "./directories.ts";
import { contentIn, type Entry, infoOf } from "./entry.ts";
import { eventsAfter } from "./feed.ts";
import { wrongType } from "./files.ts";
import { contentKey } from "./keys.ts";
import { defaultLimits, type MachineLimits } from "./limits.ts";
import { listDirectory } from "./listing.ts";
import { heldLocks, lockStateOf } from "./locks.ts";
import { type Outcome, runOperation } from "./operations.ts";
import { doneReply, emptyReply, failureReply, resultOf } from "./replies.ts";
import {
  ageRequests,
  answerOf,
  checkRoom,
  encodeAnswer,
  forgetOld,
  isWorthRemembering,
  type Remembered,
} from "./requests.ts";
import { MachineState } from "./state.ts";
import type { StateStore, StateWrite } from "./store.ts";
import { SystemReads } from "./system-reads.ts";
import { settlePolicy } from "./zone-commands.ts";

export interface MachineOptions {
  /** Of the zone's log; leads every revision and fence. */
  generation: number;
  /** This is the log of the system zone: it takes system commands. */
  system?: boolean;
  /** Every replica must use the same; for tests. */
  limits?: Partial<MachineLimits>;
}

export class Machine {
  readonly #state: MachineState;
  readonly #store: StateStore;
  readonly #isSystem: boolean;
  /** The system zone's tables. */
  readonly system: SystemReads;

  /** `store`: this log's part of the box's state, and nothing else. */
  constructor(store: StateStore, options: MachineOptions) {
    this.#store = store;
    this.#isSystem = options.system ?? false;
    const limits = { ...defaultLimits, ...options.limits };
    this.#state = new MachineState(store, { generation: options.generation, limits });
    this.system = new SystemReads(this.#state);
  }

  /** Index of the last entry applied. What it changed is in the store only after the next drain was written. */
  get appliedIndex(): number {
    return this.#state.counters.appliedIndex;
  }
  /** Log time of the last command: leaders stamp at least this. */
  get logTimeMs(): number {
    return this.#state.counters.logTimeMs;
  }
  get level(): number {
    return this.#state.counters.level;
  }
  get generation(): number {
    return this.#state.generation;
  }
  get feedFloor(): number {
    return this.#state.counters.feedFloor;
  }
  get locksHeld(): number {
    return this.#state.counters.locksHeld;
  }
  /** Policy in force. */
  get policy(): ZonePolicy {
    return this.#state.policy.now;
  }
  get ownership(): Ownership {
    return this.#state.owned.ownership;
  }

  /**
   * Applies a committed entry. `decoded`: what `data` says, when the caller has it already. Deterministic: the reply, the
   * effects and the stored bytes depend on the entries alone. Bytes that are no command are INVALID.
   */
  apply(entry: LogEntry, decoded?: Command): Applied {
    const { counters } = this.#state;
    assert(
      entry.index > counters.appliedIndex,
      `entries are applied once and in order (${entry.index} after ${counters.appliedIndex})`,
    );
    if (entry.data.length === 0) {
      counters.appliedIndex = entry.index;
      return { reply: emptyReply, effects: [] };
    }
    const command = decoded && survivesEncoding(decoded) ? decoded : decode(entry.data);
    const applied = isRefusal(command)
      ? { reply: failureReply(command), effects: [] }
      : this.#run(entry.index, command);
    this.#state.counters.appliedIndex = entry.index;
    return applied;
  }

  #run(index: number, command: Command): Applied {
    const state = this.#state;
    if (command.logTimeMs < state.counters.logTimeMs) {
      const text = `logTimeMs: ${command.logTimeMs} is before the log's ${state.counters.logTimeMs}; a leader stamps at least that`;
      return { reply: failureReply(refuse("INVALID", text)), effects: [] };
    }
    ageRequests(state, command.logTimeMs);
    state.counters.logTimeMs = command.logTimeMs;
    state.logTimeMs = command.logTimeMs;
    forgetOld(state, index);
    const answer = answerOf(state, command);
    if (answer) return { reply: answer, effects: [] };
    const full = command.requestId.length > 0 ? checkRoom(state) : undefined;
    if (full) return { reply: failureReply(full), effects: [] };

    state.begin(index, command.logTimeMs);
    const outcome = runOperation(state, command, this.#isSystem);
    if (isRefusal(outcome)) {
      state.rollback();
      const reply = failureReply(outcome);
      if (isWorthRemembering(outcome)) this.#record(command, { reply });
      return { reply, effects: [] };
    }
    settlePolicy(state);
    const reply = this.#replyTo(outcome);
    this.#record(command, memoryOf(outcome, reply));
    state.commit();
    return { reply, effects: state.effects };
  }

  #record({ requestId }: Command, answer: Remembered): void {
    const state = this.#state;
    state.record(requestId.length === 0 ? undefined : { id: requestId, answer: encodeAnswer(state, answer) });
  }

  #replyTo(outcome: Exclude<Outcome, Refusal>): Reply {
    const { generation } = this.#state;
    if ("done" in outcome) return doneReply(outcome.done, generation);
    if ("batch" in outcome) {
      const results = outcome.batch.map((done) => resultOf(done, generation));
      return { result: { $case: "batch", value: { results } } };
    }
    return outcome.reply;
  }

  /** All writes since the last drain, with the applied index: the caller writes them to the store before it reads again. */
  drain(): StateWrite[] {
    return this.#state.drain();
  }

  /** Drains into the machine's own store. */
  flush(): void {
    this.#store.write(this.drain());
  }

  stat(path: string): FileInfo | Refusal {
    const place = this.#place(path);
    return isRefusal(place) ? place : infoOf(place.entry, path, this.#state.generation);
  }

  /** A file's inline content, or the chunks that make it up. */
  read(path: string): ReadOutcome | Refusal {
    const place = this.#place(path);
    if (isRefusal(place)) return place;
    const { entry } = place;
    if (entry.type !== "file") return wrongType(path, entry, "file");
    const info = infoOf(entry, path, this.#state.generation);
    if (entry.chunked) {
      info.chunks = chunkListOf(this.#state, entry.id);
      return { info, content: noBytes, chunks: info.chunks };
    }
    const content = entry.beside ? contentIn(place.row, entry) : this.#contentOf(entry);
    assert(content?.length === entry.size, "a file's stored content has the size that its entry says");
    return { info, content, chunks: [] };
  }

  #contentOf(entry: Entry): Uint8Array | undefined {
    return entry.size > 0 ? this.#state.overlay.get(contentKey(entry.id)) : noBytes;
  }

  #place(path: string) {
    const refused = checkPath(this.#state, path);
    if (refused) return refused;
    return findPlace(this.#state, path) ?? notFound(path);
  }

  list(path: string, options: ListOptions = {}): Listing | Refusal {
    return listDirectory(this.#state, path, options);
  }

  /** Who holds the lock; kind is empty when nobody does. */
  lock(path: string): LockState | Refusal {
    return checkPath(this.#state, path) ?? lockStateOf(this.#state, path);
  }

  /** Every grant that is held: a new leader starts their timers in full. */
  heldLocks(): Iterable<HeldLock> {
    return heldLocks(this.#state);
  }

  /** Events after an index, whole entries, until `limit` are gathered; COMPACTED below the feed's floor. */
  eventsAfter(index: number, limit: number): FeedOutcome | Refusal {
    return eventsAfter(this.#state, index, limit);
  }

  refersToChunk(address: Uint8Array): boolean {
    return refersToChunk(this.#state, address);
  }

  /** Addresses of every chunk that some file refers to. */
  referencedChunks(): Iterable<Uint8Array> {
    return referencedChunks(this.#state);
  }
}

function decode(data: Uint8Array): Command | Refusal {
  try {
    return Command.decode(data);
  } catch (error) {
    return refuse("INVALID", `the entry is not a command: ${messageOf(error)}`);
  }
}

function memoryOf(outcome: Exclude<Outcome, Refusal>, reply: Reply) {
  if ("done" in outcome) return { done: outcome.done };
  if ("lock" in outcome) return { lockPath: outcome.lock.path, lockId: outcome.lock.lockId };
  return { reply };
}
