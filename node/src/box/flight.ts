import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock, Random } from "../base/clock.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { refusalOfFailure, saysNothingOfBefore } from "../base/failure.ts";
import { pinText } from "../base/token.ts";
import { failureIn, refusal } from "../zones/answers.ts";
import type { ZoneCall, ZoneEngine } from "../zones/engine.ts";
import type { LogStates } from "../zones/log-state.ts";
import { modeOf, modeTraits, planRead } from "../zones/options.ts";
import type { Caller } from "./api.ts";
import type { Directory } from "./directory.ts";
import type { LeaderNews } from "./leader-news.ts";
import { isInternal, isWaitingAcquire } from "./operations.ts";
import type { Forward, ForwardOutcome } from "./ports.ts";
import { readOutside } from "./residency.ts";
import type { RoundTrips } from "./round-trips.ts";
import { forwarded, type Routed, route, showPaths } from "./routing.ts";
import { type LeaderHints, leaderTarget, replicaTarget, type TargetQuery } from "./targets.ts";

/** Boxes that may pass a request on before it is taken for a circle. */
const hopsMax = 4;
/** An attempt at one box that should answer at once is given up after that long, ms. */
const attemptMs = 2_000;
/** How long the box of an authority is looked for before its zone's requests fail, ms. */
const authorityPatienceMs = 2_000;
/** Attempts in a row that follow a fresh hint without a pause. */
const eagerMax = 3;
const pauses = { firstMs: 4, maxMs: 200, factor: 2 };

export interface FlightNeeds {
  self: string;
  engine: ZoneEngine;
  logs: LogStates;
  directory: Directory;
  hints: LeaderHints;
  news: LeaderNews;
  roundTrips: RoundTrips;
  forward: Forward;
  clock: Clock;
  random: Random;
  /** Asks for a newer map, because one was heard of. */
  refreshMap(heardEpoch: number): void;
  /** Calls `done` once with the newest map that can be had now. */
  latestMap(done: () => void): void;
  /** Executes an admin call on the box that leads the log. */
  admin(call: { method: string; body: Uint8Array }, done: (response: Response) => void): void;
}

export interface FlightTask {
  request: Request;
  options: RequestOptions;
  caller: Caller;
  deadlineMs: number;
  done: (response: Response) => void;
}

const retried: ReadonlySet<string> = new Set([
  "NO_LEADER",
  "STALE_EPOCH",
  "AUTHORITY_UNREACHABLE",
  "LOOP",
  "ZONE_UNAVAILABLE",
  "UNKNOWN_OUTCOME",
]);

/**
 * One request on its way: to the local engine or another box, again after refusals that pass, until an answer or the
 * deadline. Only the first box (the edge) tries again; boxes on the way answer what they found, or attempts would
 * multiply. Repeating a mutation is safe because it carries its request id.
 */
export class Flight {
  readonly #needs: FlightNeeds;
  readonly #task: FlightTask;
  readonly #edge: boolean;
  readonly #startedMs: number;
  #routed: Routed | undefined;
  #tries = 0;
  #eager = 0;
  /** A copy was sent whose fate is unknown. */
  #maybeApplied = false;
  /** No replica was fresh enough, or knew of enough copies: the leader is asked. */
  #atLeader = false;
  #backoff: Backoff | undefined;
  #askedForMap = false;

  constructor(needs: FlightNeeds, task: FlightTask) {
    this.#needs = needs;
    this.#task = task;
    this.#edge = task.caller.kind !== "box" || task.options.hops.length === 0;
    this.#startedMs = needs.clock.now();
  }

  start(): void {
    const { directory } = this.#needs;
    const { request, options, caller } = this.#task;
    if (options.epoch > directory.epoch) this.#needs.refreshMap(options.epoch);
    const routed = route(request, caller, directory);
    if (isRefusal(routed)) {
      if (routed.code !== "NO_ZONE" || this.#askedForMap) return this.#task.done(refusal(routed));
      if (this.#edge) return this.#lookAgain();
      // The box before this one knows the zone: what is missing here is news, which is asked for while it tries again.
      this.#needs.refreshMap(Number.POSITIVE_INFINITY);
      return this.#task.done(refusal({ ...routed, code: "STALE_EPOCH" }));
    }
    const moved = this.#movedAway(routed);
    if (moved !== undefined) return this.#task.done(refusal(moved));
    this.#routed = routed;
    if (routed.work.kind === "read") {
      const outside = this.#outside(routed);
      if (outside !== undefined) return this.#task.done(refusal(outside));
      const plan = planRead(routed.rule, options);
      if (isRefusal(plan)) return this.#task.done(refusal(plan));
    }
    this.#attempt(routed);
  }

  /**
   * GENERATION_CHANGED when a change is not routed to the log that its first attempt went to: what is remembered of the
   * request is there, and here it would be executed again.
   */
  #movedAway({ rule, work }: Routed): Refusal | undefined {
    const { pinLog, pinGeneration } = this.#task.options;
    if (work.kind !== "mutate" || pinLog === undefined) return undefined;
    const generation = this.#needs.logs.get(rule.log)?.generation ?? pinGeneration;
    if (pinLog === rule.log && (pinGeneration === undefined || pinGeneration === generation)) return undefined;
    return gone({ ...rule, generation: generation ?? rule.generation });
  }

  #outside({ rule, work }: Routed): Refusal | undefined {
    const { self, directory } = this.#needs;
    if (rule.regions.length === 0) return undefined;
    const boxes = [...this.#task.options.hops, self];
    return readOutside(rule, work, { boxes, regionOf: (box) => directory.regionOf(box) });
  }

  /** A rule may have been added a moment ago elsewhere: the map is asked for once before NO_ZONE is the answer. */
  #lookAgain(): void {
    this.#askedForMap = true;
    this.#needs.latestMap(() => this.start());
  }

  #left(): number {
    return this.#task.deadlineMs - this.#needs.clock.now();
  }

  #attempt(routed: Routed): void {
    const local = this.#needs.logs.get(routed.rule.log);
    const { work } = routed;
    if (work.kind === "read") return this.#attemptRead(routed);
    if (local?.isLeader) {
      if (work.kind === "admin") return this.#needs.admin(work.call, (response) => this.#answered(response, ""));
      return this.#needs.engine.mutate(this.#call(routed), work.operation, (response) => this.#answered(response, ""));
    }
    this.#send(routed, leaderTarget(this.#query(routed)));
  }

  #attemptRead(routed: Routed): void {
    const { engine, logs } = this.#needs;
    if (routed.work.kind !== "read") return;
    const { read } = routed.work;
    const plan = planRead(routed.rule, this.#task.options);
    if (isRefusal(plan)) return this.#task.done(refusal(plan));
    const local = logs.get(routed.rule.log);
    const anyReplica =
      !this.#atLeader && (plan.maxStalenessMs > 0 || plan.preference === "local" || plan.preference === "nearest");
    const usable = local !== undefined && !local.view.needsReplication;
    // A read that came from another box is served by whatever replica is here: ReadIndex makes it fresh.
    const here =
      usable && (local.isLeader || (anyReplica && this.#tries === 0) || (!this.#edge && local.leaderBox !== ""));
    if (here) return engine.read(this.#call(routed), read, (response) => this.#answered(response, ""));
    const query = this.#query(routed);
    this.#send(routed, anyReplica ? replicaTarget(query, plan) : leaderTarget(query));
  }

  #call(routed: Routed): ZoneCall {
    return {
      rule: routed.rule,
      epoch: this.#needs.directory.epoch,
      options: this.#task.options,
      deadlineMs: this.#task.deadlineMs,
    };
  }

  #query(routed: Routed): TargetQuery {
    const { self, logs, hints, directory, forward, roundTrips } = this.#needs;
    return {
      self,
      rule: routed.rule,
      local: logs.get(routed.rule.log),
      hints,
      directory,
      isUp: (box) => forward.isUp(box),
      roundTripMs: (box) => roundTrips.to(box),
      avoid: this.#task.options.hops,
      tries: this.#tries,
    };
  }

  #send(routed: Routed, target: string | undefined): void {
    const { self, directory, forward, hints } = this.#needs;
    const { options } = this.#task;
    if (target === undefined) {
      return this.#refused(
        this.#wentRound(routed) ? circle(options) : unreachable(routed, "no member of it can be asked"),
      );
    }
    if (options.hops.length >= hopsMax || options.hops.includes(self)) {
      return this.#refused(circle(options));
    }
    const left = this.#left();
    const timeoutMs = Math.max(1, this.#waits(routed) ? left : Math.min(left, attemptMs));
    const request = forwarded(this.#task.request, routed);
    request.options = {
      ...options,
      timeoutMs: Math.max(1, Math.floor(timeoutMs)),
      epoch: directory.epoch,
      hops: [...options.hops, self],
    };
    forward.send(target, request, timeoutMs, (outcome) => {
      if (outcome.kind === "answer") return this.#answered(outcome.response, target);
      hints.drop(routed.rule.log, target);
      this.#failed(routed, outcome);
    });
  }

  /** This box was asked as a member, is none, and knows as members only boxes that asked it: the maps disagree. */
  #wentRound({ rule }: Routed): boolean {
    const { self, logs } = this.#needs;
    const { hops } = this.#task.options;
    const others = rule.members.filter((box) => box !== self);
    return hops.length > 0 && others.length > 0 && others.every((box) => hops.includes(box)) && !logs.get(rule.log);
  }

  /** True for requests that may rightly take their whole time at the other box. */
  #waits({ work }: Routed): boolean {
    if (work.kind === "admin") return true;
    if (work.kind === "mutate") return isWaitingAcquire(work.operation);
    return work.read.kind === "feed" && work.read.waitMs > 0;
  }

  #failed(routed: Routed, outcome: Exclude<ForwardOutcome, { kind: "answer" }>): void {
    const changes = routed.work.kind !== "read";
    if (outcome.kind === "broken" && changes) {
      this.#maybeApplied = true;
      return this.#refused(refuse("UNKNOWN_OUTCOME", `${outcome.reason}; the request may have been applied`));
    }
    this.#refused(unreachable(routed, outcome.reason));
  }

  #answered(response: Response, from: string): void {
    const routed = this.#routed as Routed;
    const failure = failureIn(response);
    if (response.servedBy === "") response.servedBy = from === "" ? this.#needs.self : from;
    if (response.receipt !== undefined && response.receipt.epoch > this.#needs.directory.epoch) {
      this.#needs.refreshMap(response.receipt.epoch);
    }
    if (failure !== undefined && this.#mayPass(failure, from) && !isOfPlan(routed, response)) {
      if (failure.code === "UNKNOWN_OUTCOME") this.#maybeApplied = true;
      return this.#refused(refusalOfFailure(failure), response);
    }
    if (failure !== undefined && this.#maybeApplied && saysNothingOfBefore(failure, response.receipt !== undefined)) {
      return this.#giveUp(routed, refusalOfFailure(failure));
    }
    const onlyHere = failure?.code === "STALENESS_EXCEEDED" || failure?.code === "COPIES_UNAVAILABLE";
    if (onlyHere && this.#mayAskLeader(routed)) {
      this.#atLeader = true;
      return this.#attempt(routed);
    }
    if (from !== "" && routed.work.kind !== "read") this.#needs.hints.set(routed.rule.log, response.servedBy);
    this.#finish(response);
  }

  /** Another box has less time than there is (see `attemptMs`): that it ran out there is not the end. */
  #mayPass({ code }: { code: string }, from: string): boolean {
    return retried.has(code) || (code === "DEADLINE" && from !== "");
  }

  #mayAskLeader(routed: Routed): boolean {
    if (!this.#edge || this.#atLeader) return false;
    return this.#task.options.readPreference !== "local" && routed.work.kind === "read";
  }

  /** A refusal that may pass: tried again by the edge while there is time. */
  #refused(refused: Refusal, response?: Response): void {
    const routed = this.#routed as Routed;
    const { hints, directory, news, random } = this.#needs;
    const isNews =
      refused.leaderBox !== undefined && refused.leaderBox !== "" && refused.leaderBox !== hints.get(routed.rule.log);
    if (isNews) hints.set(routed.rule.log, refused.leaderBox as string);
    if (refused.code === "STALE_EPOCH") this.#needs.refreshMap(Math.max(refused.epoch ?? 0, directory.epoch + 1));
    if (!this.#edge) return this.#task.done(response ?? refusal(refused));
    if (this.#takenOver(routed, refused)) return this.#giveUp(routed, refused);
    this.#tries++;
    this.#eager = isNews ? this.#eager + 1 : 0;
    this.#backoff ??= new Backoff(random, pauses);
    const pauseMs = isNews && this.#eager <= eagerMax ? 0 : this.#backoff.nextMs();
    if (pauseMs >= this.#left() || this.#outOfPatience(routed, refused)) return this.#giveUp(routed, refused);
    news.pause(routed.rule.log, pauseMs, () => this.#again());
  }

  /** Its client may wait for this lock under the same request id by another box, and must not lose the answer to this one. */
  #takenOver(routed: Routed, { code }: Refusal): boolean {
    return code === "UNKNOWN_OUTCOME" && this.#waits(routed) && this.#task.caller.gone?.() === true;
  }

  #outOfPatience(routed: Routed, refused: Refusal): boolean {
    const mode = modeOf(routed.rule);
    const authority = typeof mode === "string" && modeTraits[mode].authority;
    if (!authority || this.#maybeApplied || refused.code === "STALE_EPOCH") return false;
    return this.#needs.clock.now() - this.#startedMs > authorityPatienceMs;
  }

  /** Routes anew: the map may have changed meanwhile. */
  #again(): void {
    const routed = route(this.#task.request, this.#task.caller, this.#needs.directory);
    const before = this.#routed as Routed;
    if (isRefusal(routed)) return this.#maybeApplied ? this.#giveUp(before, routed) : this.#finish(refusal(routed));
    // A request that may have been applied in one zone must not be repeated in another: its id is known there only.
    const moved =
      this.#maybeApplied && before.rule.log !== routed.rule.log ? gone(routed.rule) : this.#movedAway(routed);
    if (moved !== undefined) return this.#giveUp(before, moved);
    this.#routed = routed;
    this.#attempt(routed);
  }

  #giveUp(routed: Routed, last: Refusal): void {
    if (this.#maybeApplied && routed.work.kind !== "read") {
      const message = `zone ${routed.rule.zone} did not confirm the request in time; retry with the same request id`;
      const { log, generation } = routed.rule;
      const details = { pin: pinText({ log, generation: this.#task.options.pinGeneration ?? generation }) };
      return this.#finish(refusal({ ...last, code: "UNKNOWN_OUTCOME", message, details }));
    }
    const mode = modeOf(routed.rule);
    const authority = typeof mode === "string" && modeTraits[mode].authority;
    if (authority && (last.code === "NO_LEADER" || last.code === "ZONE_UNAVAILABLE")) {
      return this.#finish(refusal({ ...last, code: "AUTHORITY_UNREACHABLE" }));
    }
    this.#finish(refusal(last));
  }

  #finish(response: Response): void {
    if (this.#edge && this.#routed !== undefined) showPaths(response, this.#routed, this.#needs.directory);
    this.#task.done(response);
  }
}

/**
 * True when a box's own command names an epoch that is past: the state machine said so, and would again. Who planned it
 * has to plan anew, not to look for another route.
 */
function isOfPlan({ work }: Routed, response: Response): boolean {
  if (failureIn(response)?.code !== "STALE_EPOCH" || work.kind !== "mutate") return false;
  return isInternal(work.operation) && response.receipt !== undefined;
}

function unreachable(routed: Routed, why: string): Refusal {
  const { rule } = routed;
  const mode = modeOf(rule);
  const authority = typeof mode === "string" && modeTraits[mode].authority;
  const code = routed.work.kind === "read" ? "ZONE_UNAVAILABLE" : "NO_LEADER";
  return refuse(authority ? "AUTHORITY_UNREACHABLE" : code, `zone ${rule.zone} cannot be reached: ${why}`);
}

function circle({ hops }: RequestOptions): Refusal {
  return refuse("LOOP", `the request came over ${hops.join(", ")} and was not served there`);
}

/** `details` say where a first attempt belongs now. */
function gone({ log, generation }: ZoneRule): Refusal {
  const text =
    "the path has another zone or generation than at the request's first attempt; this attempt changed nothing";
  return refuse("GENERATION_CHANGED", text, {
    applied: false,
    details: { log: String(log), generation: String(generation) },
  });
}
