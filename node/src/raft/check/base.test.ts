import { describe, expect, test } from "vitest";
import { Mode, pairSoloRules } from "../pairsolo.ts";
import { witnessRules } from "../witness.ts";
import { BaseModel } from "./base.ts";
import { type BaseBounds, type BaseRules, baseRules, world } from "./base-rules.ts";
import { NEW_MEMBER } from "./base-state.ts";
import { type Exploration, explore, follow } from "./explore.ts";

const statesMax = 60_000_000;
const check = (bounds: BaseBounds, rules: Partial<BaseRules> = {}): Exploration =>
  explore(new BaseModel(bounds, { ...baseRules, ...rules }), statesMax);

/** Terms 1 to 3, 3 entries, epochs 0 to 2. */
const wide = { terms: 3, entries: 3, epochs: 2 };
/** Two terms, but every change of mode that 3 epochs and a return allow. */
const long = { terms: 2, entries: 4, epochs: 3 };
const small = { terms: 2, entries: 3, epochs: 2 };

function expectSafe(result: Exploration): void {
  expect(result.violation, `${result.violation}\n${result.trace}`).toBeUndefined();
  expect(result.exhausted).toBe(true);
}

function expectViolation(result: Exploration, kind: RegExp): void {
  expect(result.violation ?? `no violation in ${result.states} states`, result.trace).toMatch(kind);
}

describe("the base rule loses nothing, elects one leader a term and reads nothing stale", () => {
  const runs: Record<string, BaseBounds> = {
    "3 terms, 3 epochs, late replies": { ...wide, lateReplies: true },
    "2 terms, 4 epochs, late replies": { ...long, lateReplies: true },
    "disks of witness and members lost at any time": { ...small, losses: true },
    "refusals of the witness in flight": { ...small, refusals: true },
    "tails of leaders lost at restarts": { ...small, unsynced: true },
  };
  if (process.env["NEXUS_CHECK_BOUNDS"] === "large") {
    runs["3 terms, 4 entries, 4 epochs"] = { terms: 3, entries: 4, epochs: 3 };
    runs["3 terms with losses"] = { ...wide, losses: true };
    runs["3 terms with refusals"] = { ...wide, refusals: true };
    runs["4 terms, 3 entries"] = { terms: 4, entries: 3, epochs: 2 };
  }
  for (const [name, bounds] of Object.entries(runs)) {
    test(name, { timeout: 3_600_000 }, () => expectSafe(check(bounds)));
  }
});

describe("a clause of the base rule taken out is a violation", () => {
  const unsafe = /Safety|Completeness|EngagedLeader|StaleLocalRead|LogMatching/;

  test("up(m): the witness need not check the log", () => {
    expectViolation(check(small, { witness: { ...witnessRules, up: () => true } }), unsafe);
  });

  test("up(m): m.cand == engHolder at equal term and epoch", () => {
    const up: typeof witnessRules.up = (record, vote) =>
      witnessRules.up(record, vote) || (vote.lastTerm === record.engTerm && vote.lastEpoch === record.engEpoch);
    expectViolation(check(small, { witness: { ...witnessRules, up } }), unsafe);
  });

  test("a vote never touches engTerm/engEpoch/engHolder", () => {
    const onVote: typeof witnessRules.onVote = (record, vote) => {
      const outcome = witnessRules.onVote(record, vote);
      if (!outcome.reply.granted) return outcome;
      return {
        ...outcome,
        changed: true,
        record: { ...outcome.record, engTerm: 0, engEpoch: 0, engHolder: undefined },
      };
    };
    expectViolation(check(wide, { witness: { ...witnessRules, onVote } }), unsafe);
  });

  test("onEngage: (m.term, m.epoch) < (engTerm, engEpoch) is rejected", () => {
    const rules = { witness: { ...witnessRules, rank: () => 1 } };
    expectViolation(check(long, rules), unsafe);
  });

  test("an engaged witness counts only as far as the leader itself is durable (peer and witness without it)", () => {
    const commitIndex: typeof pairSoloRules.commitIndex = (view) => {
      const { leader, self } = view;
      const withPeer = pairSoloRules.isEngaged(leader, 2) ? view.match(1 - self) : 0;
      return Math.max(pairSoloRules.commitIndex(view), withPeer >= leader.epochStart ? withPeer : 0);
    };
    const rules = { leader: { ...pairSoloRules, commitIndex } };
    expectViolation(check({ ...small, unsynced: true }, rules), unsafe);
  });

  test("the witness is durable before any reply that changed state", () => {
    expectViolation(check(small, { world: { ...world, diskAtReply: (before) => before } }), unsafe);
  });

  test("A message for an unknown record or incarnation is refused and creates nothing", () => {
    const recordFor: typeof witnessRules.recordFor = (record, incarnation) => record ?? witnessRules.join(incarnation);
    expectViolation(check({ ...small, losses: true }, { witness: { ...witnessRules, recordFor } }), unsafe);
  });

  test("Join draws a fresh incarnation: a wiped witness does not come back under its old one", () => {
    const afterWitnessLoss: typeof world.afterWitnessLoss = (lost) => lost && witnessRules.join(lost.incarnation);
    expectViolation(check({ ...small, losses: true }, { world: { ...world, afterWitnessLoss } }), unsafe);
  });

  test("Bootstrap: a box with an empty disk never creates a group that it was configured for", () => {
    const rules = { world: { ...world, afterMemberLoss: () => NEW_MEMBER } };
    expectViolation(check({ ...small, losses: true }, rules), unsafe);
  });

  test("wAcked is empty at election", () => {
    const elected: typeof pairSoloRules.elected = (members, voted, noopIndex) => {
      const leader = pairSoloRules.elected(members, voted, noopIndex);
      leader.wAcked.set(2, 0);
      return leader;
    };
    expectViolation(check(wide, { leader: { ...pairSoloRules, elected } }), unsafe);
  });

  test("wAcked is emptied by every epoch++ (a set that is kept)", () => {
    const leader = {
      ...pairSoloRules,
      startEpoch: (of, mode, firstIndex) => Object.assign(of, { mode, epoch: of.epoch + 1, epochStart: firstIndex }),
      isEngaged: (of, witness) => of.mode === Mode.SOLO && of.wAcked.has(witness),
    } satisfies typeof pairSoloRules;
    expectViolation(check(long, { leader }), unsafe);
  });
});

describe("A WEngage reply counts only if ok, reply.term = own term, mode is SOLO and reply.epoch = own epoch", () => {
  type Counts = typeof pairSoloRules.engageReplyCounts;
  const unsafe = /EngagedLeader|LeaderCompleteness|StateMachineSafety/;
  const withCounts = (bounds: BaseBounds, engageReplyCounts: Counts): Exploration =>
    check({ ...bounds, lateReplies: true }, { leader: { ...pairSoloRules, engageReplyCounts } });

  test("the whole clause taken out is a violation", () => {
    expectViolation(
      withCounts(long, () => true),
      unsafe,
    );
  });

  test("reply.epoch = own epoch taken out is a violation", () => {
    const counts: Counts = (leader, term, reply) => reply.ok && reply.term === term && leader.mode === Mode.SOLO;
    expectViolation(withCounts(long, counts), unsafe);
  });

  /** A search directed by its start: the violation needs a late reply of the own former term, 21 steps from an empty group. */
  test("reply.term = own term taken out is a violation", () => {
    const counts: Counts = (leader, _term, reply) =>
      reply.ok && leader.mode === Mode.SOLO && reply.epoch === leader.epoch;
    const bounds = { terms: 3, entries: 4, epochs: 1, lateReplies: true };
    const rules = { ...baseRules, leader: { ...pairSoloRules, engageReplyCounts: counts } };
    const start = follow(new BaseModel(bounds), [
      ...["timeout A", "B votes for A in term 1", "vote of B reaches A", "lead A", "SOLO A", "engage A", "restart A"],
      ...["timeout A", "W engaged by A at (1,1)", "B votes for A in term 2", "vote of B reaches A", "lead A"],
    ]);

    expectSafe(explore(new BaseModel(bounds, baseRules, start), statesMax));
    expectViolation(explore(new BaseModel(bounds, rules, start), statesMax), unsafe);
  });

  test("ok and the mode are implied by term and epoch: without them nothing more is reachable", () => {
    const counts: Counts = (leader, term, reply) => reply.term === term && reply.epoch === leader.epoch;
    const bounds = { ...small, refusals: true };

    const without = withCounts(bounds, counts);

    expectSafe(without);
    expect(without.states).toBe(check({ ...bounds, lateReplies: true }).states);
  });
});
