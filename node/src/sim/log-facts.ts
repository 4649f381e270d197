import { crc32 } from "node:zlib";
import { Command, Reply } from "@nexus-federation/proto/command.ts";
import { chunksOf } from "../group/entry.ts";
import type { Applied, LogEntry } from "../machine/api.ts";
import type { Entry } from "../raft/types.ts";
import type { DataBox } from "./data-box.ts";
import { LockModel } from "./lock-model.ts";
import { OwnModel } from "./own-model.ts";
import { RequestModel } from "./request-model.ts";
import { type ShadowEntry, type ShadowLog, shadowOf } from "./shadow.ts";
import type { Moment } from "./triggers.ts";
import { require } from "./violation.ts";

interface AppliedFact {
  term: number;
  digest: number;
  /** Undefined while it was answered in an earlier generation only. */
  reply: number | undefined;
  /** It changed files: what it refers to became part of the state. */
  changed: boolean;
  /** Term of the replica that applied it first: at least that of the leader that committed it. */
  leaderTerm: number;
}

interface Written extends ShadowEntry {
  /** Term of the entry before; undefined where a snapshot ends. */
  previous: number | undefined;
}

interface Chunked {
  at: { index: number; term: number };
  chunks: Uint8Array[];
}

export interface ApplyEvent {
  box: string;
  entry: LogEntry;
  command: Command | undefined;
  applied: Applied;
  term(): number;
}

/** All that is known of one log over all boxes, and what must hold of it (raft-and-witness.md, last part). */
export class LogFacts {
  readonly log: number;
  readonly generation: number;
  readonly #now: () => number;
  readonly #note: (...parts: (string | number)[]) => void;
  /** Who led a term. */
  readonly #leaders = new Map<number, string>();
  readonly #written = new Map<number, Map<number, Written>>();
  readonly #applied = new Map<number, AppliedFact>();
  readonly #locks: LockModel;
  readonly #owned: OwnModel;
  readonly #requests = new RequestModel();
  /** Told of moments that faults wait for. */
  onMoment: (moment: Moment) => void = () => undefined;
  /** Entries that refer to chunks, in the order in which they were first written. */
  readonly #chunked: Chunked[] = [];
  readonly #events: { index: number; count: number }[] = [];
  /** What was applied, kept when a template is made. */
  recorded: ApplyEvent[] | undefined;
  /** Highest index applied anywhere. */
  appliedIndex = 0;

  constructor(
    { log, generation }: { log: number; generation: number },
    now: () => number,
    note: (...parts: (string | number)[]) => void,
  ) {
    this.log = log;
    this.generation = generation;
    this.#now = now;
    this.#note = note;
    this.#locks = new LockModel(log);
    this.#owned = new OwnModel(log);
  }

  /** A request that carries no time was executed twice after a jump of the clock: no history can be explained. */
  get lapsed(): boolean {
    return this.#requests.lapsed;
  }

  termOf(index: number): number | undefined {
    return this.#applied.get(index)?.term;
  }

  /** Entries were handed to a disk: log matching, and epochs that never fall within a term. */
  written(box: string, shadow: ShadowLog, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index, term, epoch } = entry;
      const found = { ...shadowOf(entry), previous: shadow.termAt(index - 1) };
      const byTerm = this.#written.get(index) ?? new Map<number, Written>();
      this.#written.set(index, byTerm);
      const known = byTerm.get(term);
      if (known === undefined) {
        byTerm.set(term, found);
        this.#firstWritten(entry);
      } else {
        const same =
          known.digest === found.digest &&
          known.epoch === epoch &&
          (!known.previous || !found.previous || known.previous === found.previous);
        require(same, () =>
          `log ${this.log}: ${box} writes another entry ${index} of term ${term} than was written before`);
        known.previous ??= found.previous;
      }
      const before = this.#written.get(index - 1)?.get(term);
      require(before === undefined || before.epoch <= epoch, () => `log ${this.log}: the epoch falls at ${index}`);
    }
  }

  #firstWritten({ index, term, type, data }: Entry): void {
    if (type === "EntryEpochChange") this.onMoment("epoch");
    if (type === "EntryConfChangeV2" || type === "EntryConfChange") this.onMoment("conf");
    if (type !== "EntryNormal") return;
    this.onMoment("write");
    const chunks = chunksOf(data);
    if (chunks.length > 0) this.#chunked.push({ at: { index, term }, chunks });
  }

  /** Index of every event above an index up to another, as often as it has events. */
  eventsIn(after: number, upTo: number): number[] {
    return this.#events.flatMap(({ index, count }) =>
      index > after && index <= upTo ? Array.from({ length: count }, () => index) : [],
    );
  }

  /** Entries above an index that refer to chunks. */
  chunksAfter(index: number): Chunked[] {
    return this.#chunked.filter(({ at }) => at.index > index);
  }

  /** Chunks that the state has since the entry at an index: what was refused, or executed before, brings none. */
  chunksAt(index: number): Uint8Array[] {
    const { term, changed } = this.#applied.get(index) ?? { term: 0, changed: false };
    if (!changed) return [];
    return this.#chunked.find(({ at }) => at.index === index && at.term === term)?.chunks ?? [];
  }

  /** A box became leader, or ready: one a term, and with everything that was committed under leaders before it. */
  leads(box: DataBox, term: number, shadow: ShadowLog): void {
    const who = `${box.name} ${box.incarnation.toString("hex", 0, 2)}`;
    const former = this.#leaders.get(term);
    require(former === undefined || former === who, () =>
      `log ${this.log}: ${former} and ${who} both lead term ${term}`);
    if (former !== undefined) return;
    this.#leaders.set(term, who);
    this.#note("leads", this.log, box.name, term);
    this.onMoment("leads");
    for (let index = this.appliedIndex; index > 0; index--) {
      const fact = this.#applied.get(index);
      if (fact === undefined || fact.leaderTerm >= term) continue;
      const { term: entryTerm } = fact;
      require(shadow.holds(index, entryTerm), () => {
        const found = shadow.termAt(index);
        return `log ${this.log}: ${who} leads term ${term} without entry ${index} of term ${entryTerm} (has ${found}), which was applied`;
      });
      return;
    }
  }

  /**
   * The log of this generation begins with what one copy of the former one had: the same entries, whose answers name the
   * new generation. What was applied elsewhere and is not in that copy never was.
   */
  goesOnFrom(former: LogFacts, copy: ShadowLog): void {
    for (const [index, fact] of former.#applied) {
      const kept = index <= copy.start.index || copy.holds(index, fact.term);
      if (kept && !this.#applied.has(index)) this.#applied.set(index, { ...fact, reply: undefined, leaderTerm: 0 });
    }
  }

  /** State-machine safety: the same entry, and the same answer, on every replica. True when applied for the first time. */
  applied(event: ApplyEvent): boolean {
    const { box, entry, command, applied, term } = event;
    const { index } = entry;
    const digest = crc32(entry.data);
    const reply = crc32(Reply.encode(applied.reply).finish());
    const known = this.#applied.get(index);
    if (known !== undefined) {
      require(known.term === entry.term && known.digest === digest, () => {
        return `log ${this.log}: ${box} applied another entry at ${index}: term ${entry.term}, not ${known.term}`;
      });
      known.reply ??= reply;
      require(known.reply === reply, () => {
        return `log ${this.log}: ${box} came to another answer at ${index}: ${JSON.stringify(applied.reply)}`;
      });
      return false;
    }
    require(index > this.appliedIndex, () => `log ${this.log}: ${box} applied ${index}, which was passed over before`);
    this.appliedIndex = index;
    const changed = applied.effects.some(({ kind }) => kind === "events");
    this.#applied.set(index, { term: entry.term, digest, reply, changed, leaderTerm: term() });
    this.#note("apply", this.log, index, entry.term, digest, reply);
    const decoded = command ?? (entry.data.length > 0 ? Command.decode(entry.data) : undefined);
    for (const effect of applied.effects) {
      if (effect.kind === "events") this.#events.push({ index, count: effect.count });
    }
    if (this.recorded !== undefined) {
      const known = term();
      this.recorded.push({ ...event, term: () => known });
    }
    if (decoded === undefined) return true;
    const repeated = this.#requests.repeated(index, decoded, applied.reply);
    this.#owned.applied(index, decoded, applied, repeated);
    this.#locks.applied({ index, nowMs: this.#now(), command: decoded, applied, repeated });
    if (decoded.operation?.op?.$case === "cede") this.onMoment("cede");
    if (applied.effects.some((effect) => effect.kind === "lock-granted")) this.onMoment("grant");
    return true;
  }
}
