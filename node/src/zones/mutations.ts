import type { Command, Operation, Reply } from "@nexus-federation/proto/command.ts";
import type { LockGrant } from "@nexus-federation/proto/records.ts";
import { noBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { Groups, Outcome } from "../group/api.ts";
import { show } from "../tree/path.ts";
import { answer, type Result, refusal } from "./answers.ts";
import type { Done, ZoneCall } from "./engine.ts";
import type { LogState, LogStates } from "./log-state.ts";
import { planWrite, type WritePlan } from "./options.ts";
import type { Places } from "./ports.ts";
import { receiptOf } from "./receipts.ts";
import { type LockWaits, type WaitOutcome, waitsMax } from "./waits.ts";

/** Kept back from a lock's wait so that its cancellation can still be answered in time, ms. */
const cancelReserveMs = 100;
/** Time for a cancellation that the deadline no longer pays for, ms. */
const cancelMinMs = 50;

type AppliedOutcome = Extract<Outcome, { kind: "applied" }>;

/** A lock request that waits. */
interface Asked {
  /** How it was queued. */
  outcome: AppliedOutcome;
  plan: WritePlan;
  done: Done;
}

export interface MutationNeeds {
  groups: Groups;
  logs: LogStates;
  waits: LockWaits;
  places: Places;
  clock: Clock;
}

/** Writes and locks: plan, propose on the local leader, wait for the copies or the grant, answer with the receipt. */
export class Mutations {
  readonly #needs: MutationNeeds;

  constructor(needs: MutationNeeds) {
    this.#needs = needs;
  }

  mutate(call: ZoneCall, operation: Operation, done: Done): void {
    const plan = planWrite(call.rule, call.options);
    if (isRefusal(plan)) return done(refusal(plan));
    const state = this.#needs.logs.get(call.rule.log);
    const refused = this.#refusedBefore(call, operation, state, plan);
    if (refused !== undefined) return done(refusal(refused));
    this.#propose(call, operation, state as LogState, (outcome) => {
      if (outcome.kind === "refused") return done(refusal(outcome.refusal));
      if (outcome.reply.result?.$case === "waiting") {
        return this.#wait(call, operation, outcome.reply.result.value.waiterId, { outcome, plan, done });
      }
      // A retry stands for what was executed then; whoever holds its own entry holds that one too.
      this.#finish(call, plan, { ...outcome, index: outcome.reply.executedAt ?? outcome.index }, done);
    });
  }

  #refusedBefore(
    call: ZoneCall,
    operation: Operation,
    state: LogState | undefined,
    plan: WritePlan,
  ): Refusal | undefined {
    const { rule } = call;
    if (state === undefined || !state.isLeader) {
      const leaderBox = state?.leaderBox ?? "";
      return refuse("NO_LEADER", `this box does not lead zone ${rule.zone}`, { leaderBox });
    }
    if (call.deadlineMs <= this.#needs.clock.now()) {
      return refuse("DEADLINE", "the time ran out before the request was proposed; nothing was changed");
    }
    if (operation.op?.$case === "acquire" && this.#needs.waits.size >= waitsMax) {
      return refuse("OVERLOADED", `${waitsMax} lock requests wait on this box already`, { retryAfterMs: 1_000 });
    }
    return plan.copies === 0 ? undefined : copiesMissing(call, state, plan.copies);
  }

  #propose(call: ZoneCall, operation: Operation, state: LogState, done: (outcome: Outcome) => void): void {
    const { options } = call;
    const command: Command = {
      requestId: options.requestId,
      // What was sent without a time is first seen here: the leader stamps at least its own clock.
      requestTimeMs: options.requestTimeMs || Math.max(state.view.logTimeMs, this.#needs.clock.wallMs()),
      principal: options.principal,
      logTimeMs: 0,
      operation,
    };
    const timeoutMs = Math.max(1, call.deadlineMs - this.#needs.clock.now());
    this.#needs.groups.propose(call.rule.log, { command, timeoutMs, done });
  }

  #finish(call: ZoneCall, plan: WritePlan, outcome: AppliedOutcome, done: Done): void {
    const result = resultOf(outcome.reply);
    const failed = result.$case === "failure";
    if (failed || plan.copies === 0 || (plan.copies !== "all" && outcome.copies >= plan.copies)) {
      return done(answer(result, this.#receipt(call, outcome, grantIn(result))));
    }
    const { groups, clock, logs } = this.#needs;
    const timeoutMs = Math.max(1, call.deadlineMs - clock.now());
    groups.whenDurable(
      call.rule.log,
      outcome.index,
      { copies: plan.copies },
      (refused) => {
        const boxes = logs.get(call.rule.log)?.holders(outcome.index) ?? outcome.boxes;
        const best = boxes.length > outcome.boxes.length ? boxes : outcome.boxes;
        const receipt = this.#receipt(call, { ...outcome, boxes: best }, grantIn(result));
        if (refused === undefined) return done(answer(result, receipt));
        const message = `the change is applied, but not yet on as many copies as were demanded: ${refused.message}`;
        done(refusal(refuse("COPIES_UNAVAILABLE", message, { applied: true }), receipt));
      },
      timeoutMs,
    );
  }

  #wait(call: ZoneCall, operation: Operation, waiterId: Uint8Array, asked: Asked): void {
    const left = call.deadlineMs - this.#needs.clock.now();
    const waitMs = Math.max(0, left - Math.min(cancelReserveMs, left / 4));
    this.#needs.waits.add(call.rule.log, waiterId, waitMs, (end) => {
      if (end !== "timeout") return this.#answerWait(call, asked, end);
      this.#cancel(call, operation, waiterId, asked);
    });
  }

  #cancel(call: ZoneCall, operation: Operation, waiterId: Uint8Array, asked: Asked): void {
    const { groups, waits, clock } = this.#needs;
    const path = operation.op?.$case === "acquire" ? operation.op.value.path : "";
    const cancel: Operation = { op: { $case: "cancelWait", value: { path, waiterId: Buffer.from(waiterId) } } };
    const command: Command = {
      requestId: Buffer.from(noBytes),
      requestTimeMs: 0,
      principal: call.options.principal,
      logTimeMs: 0,
      operation: cancel,
    };
    const timeoutMs = Math.max(cancelMinMs, call.deadlineMs - clock.now());
    groups.propose(call.rule.log, {
      command,
      timeoutMs,
      done: (cancelled) => {
        const end = waits.takeEnd(call.rule.log, waiterId);
        const granted = cancelled.kind === "applied" ? grantIn(resultOf(cancelled.reply)) : undefined;
        const late = granted ? { kind: "granted" as const, grant: granted } : end;
        if (late?.kind === "granted") return this.#answerWait(call, asked, late);
        const refused =
          cancelled.kind === "refused"
            ? refuse("UNKNOWN_OUTCOME", "the wait ran out and could not be cancelled; retry with the same request id")
            : refuse("LOCKED", `${show(path)} stayed locked for the whole time that was waited`);
        asked.done(refusal(refused));
      },
    });
  }

  /** A grant that was waited for is worth what one at once is: it is answered when the copies demanded have it. */
  #answerWait(call: ZoneCall, { outcome, plan, done }: Asked, end: WaitOutcome): void {
    if (end.kind === "ended") return done(refusal(end.refusal));
    const state = this.#needs.logs.get(call.rule.log);
    if (state === undefined)
      return done(refusal(refuse("NO_LEADER", "the zone left this box while the lock was waited for")));
    const index = state.applied;
    const boxes = state.holders(index);
    const logTimeMs = Math.max(outcome.logTimeMs, state.view.logTimeMs);
    const reply: Reply = { result: { $case: "grant", value: end.grant } };
    this.#finish(call, plan, { ...outcome, reply, index, boxes, copies: boxes.length, logTimeMs }, done);
  }

  #receipt(call: ZoneCall, outcome: AppliedOutcome, grant: LockGrant | undefined) {
    const { index, generation, boxes, logTimeMs } = outcome;
    const facts = {
      rule: call.rule,
      epoch: call.epoch,
      generation,
      index,
      stalenessMs: 0,
      boxes,
      boxesAreAll: true,
      logTimeMs,
    };
    return receiptOf(grant === undefined ? facts : { ...facts, grant }, this.#needs.places);
  }
}

/** COPIES_UNAVAILABLE when fewer full members are active than the plan needs; checked before anything is proposed. */
function copiesMissing(call: ZoneCall, state: LogState, copies: number | "all"): Refusal | undefined {
  const view = state.view;
  const voters = view.progress.filter((member) => member.role === "voter");
  const wanted = copies === "all" ? voters.length : copies;
  const active = copies === "all" ? voters.filter((member) => member.active).length : view.activeCopies;
  if (active >= wanted) return undefined;
  return refuse(
    "COPIES_UNAVAILABLE",
    `${wanted} durable copies were demanded in zone ${call.rule.zone}, ${active} can be had now; nothing was changed`,
    { applied: false },
  );
}

function resultOf(reply: Reply): Result {
  const result = reply.result;
  if (result === undefined) return { $case: "empty", value: {} };
  if (result.$case === "waiting") return { $case: "empty", value: {} };
  return result;
}

function grantIn(result: Result): LockGrant | undefined {
  return result.$case === "grant" ? result.value : undefined;
}
