import type { FileInfo, Listing, LockState, ReadResult } from "@nexus-federation/proto/records.ts";
import { unreachable } from "../base/assert.ts";
import { asBuffer } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { decodeToken } from "../base/token.ts";
import type { Groups } from "../group/api.ts";
import { answer, type Result, refusal } from "./answers.ts";
import type { Done, ZoneCall, ZoneRead } from "./engine.ts";
import type { Feeds } from "./feed.ts";
import type { LogState, LogStates } from "./log-state.ts";
import { planRead, type ReadPlan } from "./options.ts";
import type { Places, ZoneReader, ZoneStates } from "./ports.ts";
import { receiptOf } from "./receipts.ts";

/** A read that insists on this replica waits that long for a probe that proves its staleness, ms. */
const proofWaitMs = 1_000;
/** Pause between two looks at the staleness, ms. */
const proofPauseMs = 20;

export interface ReadNeeds {
  groups: Groups;
  logs: LogStates;
  states: ZoneStates;
  feeds: Feeds;
  places: Places;
  clock: Clock;
}

/** Reads of the local replica: fresh (ReadIndex) or stale with a proven bound, never silently in between. */
export class Reads {
  readonly #needs: ReadNeeds;

  constructor(needs: ReadNeeds) {
    this.#needs = needs;
  }

  read(call: ZoneCall, read: ZoneRead, done: Done): void {
    const { logs, states } = this.#needs;
    const plan = planRead(call.rule, call.options);
    if (isRefusal(plan)) return done(refusal(plan));
    const state = logs.get(call.rule.log);
    if (state === undefined || states.reader(call.rule.log) === undefined) {
      return done(
        refusal(refuse("ZONE_UNAVAILABLE", `this box has no replica of zone ${call.rule.zone} that may serve`)),
      );
    }
    this.#afterToken(call, state, (refused) => {
      if (refused !== undefined) return done(refusal(refused));
      if (read.kind === "feed" && !read.fromNow) return this.#feed(call, state, read, done);
      this.#whenFreshEnough(call, state, plan, (unfit, stalenessMs) => {
        if (unfit !== undefined) return done(refusal(unfit));
        if (read.kind === "feed") return this.#feed(call, state, { ...read, afterIndex: this.#shown(state) }, done);
        this.#serve(call, { state, stalenessMs }, read, done);
      });
    });
  }

  #left(call: ZoneCall): number {
    return call.deadlineMs - this.#needs.clock.now();
  }

  /** Waits until what the caller has seen of this zone is applied here. */
  #afterToken(call: ZoneCall, state: LogState, next: (refused: Refusal | undefined) => void): void {
    const { after } = call.options;
    if (after.length === 0) return next(undefined);
    const token = decodeToken(after);
    if (token === undefined)
      return next(refuse("INVALID", "after is the token of an earlier receipt; something else came"));
    if (token.log !== call.rule.log) return next(undefined);
    if (token.generation !== state.generation) {
      return next(
        refuse(
          "GENERATION_CHANGED",
          `the token is of generation ${token.generation} of zone ${call.rule.zone}, which now has ${state.generation}`,
        ),
      );
    }
    if (token.index <= state.applied) return next(undefined);
    this.#needs.groups.whenApplied(call.rule.log, token.index, next, Math.max(1, this.#left(call)));
  }

  #whenFreshEnough(
    call: ZoneCall,
    state: LogState,
    plan: ReadPlan,
    next: (refused: Refusal | undefined, stalenessMs: number) => void,
  ): void {
    const { groups, clock } = this.#needs;
    const { log } = call.rule;
    if (plan.maxStalenessMs === 0 || state.isLeader) {
      return groups.readIndex(log, (refused) => next(refused, 0), Math.max(1, this.#left(call)));
    }
    const insists = plan.explicit && plan.preference === "local";
    const giveUpAt = clock.now() + (insists ? Math.min(proofWaitMs, this.#left(call)) : 0);
    const look = () => {
      const stalenessMs = groups.stalenessMs(log);
      if (stalenessMs <= plan.maxStalenessMs) return next(undefined, stalenessMs);
      if (clock.now() >= giveUpAt) return next(tooStale(call, plan, stalenessMs), 0);
      clock.after(proofPauseMs, look);
    };
    look();
  }

  #serve(call: ZoneCall, at: { state: LogState; stalenessMs: number }, read: ZoneRead, done: Done): void {
    const reader = this.#needs.states.reader(call.rule.log);
    if (reader === undefined) return done(refusal(refuse("ZONE_UNAVAILABLE", `zone ${call.rule.zone} left this box`)));
    const result = resultOf(reader, at.state.generation, read);
    const receipt = this.#receipt(call, at.state, at.stalenessMs);
    if (isRefusal(result)) return done(refusal(result, receipt));
    if (receipt.copies < call.options.minCopies) {
      const message = `${call.options.minCopies} durable copies of what is read were demanded, ${receipt.copies} are known`;
      return done(refusal(refuse("COPIES_UNAVAILABLE", message), receipt));
    }
    done(answer(result, receipt));
  }

  #feed(call: ZoneCall, state: LogState, read: ZoneRead & { kind: "feed" }, done: Done): void {
    const { generation } = state;
    if (read.generation !== 0 && read.generation !== generation) {
      const message = `the cursor is of generation ${read.generation} of zone ${call.rule.zone}, which now has ${generation}`;
      return done(refusal(refuse("GENERATION_CHANGED", message)));
    }
    const { log, zone } = call.rule;
    const waitMs = Math.min(read.waitMs, Math.max(0, this.#left(call)));
    const floor = this.#needs.states.reader(log)?.feedFloor ?? 0;
    const afterIndex = read.generation === 0 && !read.fromNow ? Math.max(floor, read.afterIndex) : read.afterIndex;
    const query = { log, path: read.path, afterIndex, limit: read.limit, waitMs };
    this.#needs.feeds.read(
      query,
      () => this.#needs.states.reader(log),
      (found) => {
        if (isRefusal(found)) return done(refusal(found));
        const stalenessMs = state.isLeader ? 0 : this.#needs.groups.stalenessMs(log);
        const receipt = this.#receipt(call, state, Math.min(stalenessMs, Number.MAX_SAFE_INTEGER));
        const { events, nextIndex } = found;
        done(answer({ $case: "feed", value: { events, nextIndex, generation, zone } }, receipt));
      },
    );
  }

  /** Never less than what was read: a later read with its token must not be older. */
  #shown(state: LogState): number {
    return Math.max(state.applied, this.#needs.states.reader(state.log)?.appliedIndex ?? 0);
  }

  #receipt(call: ZoneCall, state: LogState, stalenessMs: number) {
    const index = this.#shown(state);
    const boxes = state.holders(index);
    // Only a leader knows of others: elsewhere the count is a lower bound and says nothing about those missing.
    const boxesAreAll = state.isLeader;
    const { generation } = state;
    // A leader would stamp a command with at least its own time: callers may use it for their next request.
    const logTimeMs = state.isLeader
      ? Math.max(state.view.logTimeMs, this.#needs.clock.wallMs())
      : state.view.logTimeMs;
    return receiptOf(
      { rule: call.rule, epoch: call.epoch, generation, index, stalenessMs, boxes, boxesAreAll, logTimeMs },
      this.#needs.places,
    );
  }
}

function resultOf(reader: ZoneReader, generation: number, read: ZoneRead): Result | Refusal {
  switch (read.kind) {
    case "stat": {
      const info = reader.stat(read.path);
      return isRefusal(info) ? info : { $case: "info", value: stamped(info, generation) };
    }
    case "read": {
      const found = read.infoOnly ? statOnly(reader, read.path) : readOf(reader, read.path);
      if (isRefusal(found)) return found;
      return { $case: "read", value: { ...found, info: stamped(found.info as FileInfo, generation) } };
    }
    case "list": {
      const listing: Listing | Refusal = reader.list(read.path, read);
      if (isRefusal(listing)) return listing;
      for (const entry of listing.entries) entry.generation = generation;
      return { $case: "listing", value: listing };
    }
    case "lock": {
      const lock: LockState | Refusal = reader.lock(read.path);
      return isRefusal(lock) ? lock : { $case: "lock", value: lock };
    }
    case "feed":
      return refuse("INTERNAL", "a feed is read by Feeds");
    default:
      return unreachable(read, "read");
  }
}

function readOf(reader: ZoneReader, path: string): ReadResult | Refusal {
  const found = reader.read(path);
  if (isRefusal(found)) return found;
  const info = found.chunks.length > 0 ? { ...found.info, chunks: found.chunks } : found.info;
  return { info, content: asBuffer(found.content) };
}

function statOnly(reader: ZoneReader, path: string): ReadResult | Refusal {
  const info = reader.stat(path);
  return isRefusal(info) ? info : { info, content: Buffer.alloc(0) };
}

function stamped(info: FileInfo, generation: number): FileInfo {
  if (info.generation !== generation) info.generation = generation;
  return info;
}

function tooStale(call: ZoneCall, plan: ReadPlan, stalenessMs: number): Refusal {
  const had = Number.isFinite(stalenessMs) ? `${Math.ceil(stalenessMs)} ms can be proven` : "nothing can be proven yet";
  return refuse(
    "STALENESS_EXCEEDED",
    `at most ${plan.maxStalenessMs} ms of staleness was asked of zone ${call.rule.zone}, ${had} here`,
  );
}
