import { describe, expect, test } from "vitest";
import { Mode, type PairSoloRules, pairSoloRules } from "../pairsolo.ts";
import { witnessRules } from "../witness.ts";
import { type Exploration, explore, follow, type Model } from "./explore.ts";
import { type Change, type MembershipBounds, MembershipModel, membershipRules } from "./membership.ts";
import type { State } from "./membership-state.ts";

const [A, B, C, W, X] = [0, 1, 2, 3, 4];
const changes = {
  "witness replaced by a full member": { from: [A, B, W], to: [A, B, C] },
  "a full member replaced": { from: [A, B, W], to: [A, C, W] },
  "the witness replaced": { from: [A, B, W], to: [A, B, X] },
  "1 to 2+1": { from: [A], to: [A, B, W] },
  "2+1 to 1": { from: [A, B, W], to: [A] },
  "a full member replaced by a witness": { from: [A, B, C], to: [A, B, W] },
} satisfies Record<string, Change>;

const large = process.env["NEXUS_CHECK_BOUNDS"] === "large";
const statesMax = 60_000_000;

function check(change: Change, bounds: MembershipBounds, rules: Partial<typeof membershipRules> = {}): Exploration {
  return explore(new MembershipModel({ change, bounds }, { ...membershipRules, ...rules }), statesMax);
}

function expectSafe(result: Exploration): void {
  expect(result.violation, `${result.violation}\n${result.trace}`).toBeUndefined();
  expect(result.exhausted).toBe(true);
}

function expectViolation(result: Exploration, kind: RegExp): void {
  expect(result.violation ?? `no violation in ${result.states} states`, result.trace).toMatch(kind);
}

const leading = (overrides: Partial<PairSoloRules>): Partial<typeof membershipRules> => ({
  leader: { ...pairSoloRules, ...overrides },
});

describe("configuration changes beside the witness are safe with apply lag, replay and local reads", () => {
  const bounds = large ? { terms: 2, entries: 4, epochs: 1 } : { terms: 2, entries: 3, epochs: 1 };
  for (const [name, change] of Object.entries(changes)) {
    test(name, { timeout: 3_600_000 }, () => expectSafe(check(change, bounds)));
  }

  test("a whole change of a full member, joint and left", { timeout: 3_600_000 }, () => {
    expectSafe(check(changes["a full member replaced"], { terms: 2, entries: 4, epochs: 0 }));
  });
});

describe("a clause of the membership rule taken out is a violation", () => {
  const wide = { terms: 2, entries: 4, epochs: 0 };

  test("commit is in the same durable write as the entries that came with it", () => {
    const rules = { commitAfterRestart: () => 1 };
    expectViolation(check(changes["a full member replaced"], wide, rules), /Safety|Completeness/);
  });

  test("Nobody campaigns before applying every configuration entry at or below commit", () => {
    const rules = leading({ mayCampaign: () => true });
    expectViolation(check(changes["a full member replaced"], wide, rules), /Safety|Completeness/);
  });

  test("wAcked is a Map by witness incarnation (one value for all witnesses)", () => {
    const isEngaged: PairSoloRules["isEngaged"] = (leader) =>
      leader.mode === Mode.SOLO && [...leader.wAcked.values()].includes(leader.epoch);
    const bounds = { terms: 2, entries: 4, epochs: 1 };
    expectViolation(check(changes["the witness replaced"], bounds, leading({ isEngaged })), /Safety|Completeness/);
  });

  test("A message for an unknown record is refused: a removed witness that forgot does not start anew", () => {
    const witness = {
      ...witnessRules,
      recordFor: ((record, incarnation) => record ?? witnessRules.join(incarnation)) as typeof witnessRules.recordFor,
    };
    expectViolation(
      check(changes["2+1 to 1"], { terms: 2, entries: 4, epochs: 1 }, { witness }),
      /Completeness|Safety/,
    );
  });

  for (const name of [
    "a full member replaced",
    "the witness replaced",
    "a full member replaced by a witness",
  ] as const) {
    test(`a majority of each half (of the incoming alone): ${name}`, () => {
      const rules = leading({
        quorum: (halves, has) => pairSoloRules.quorum(halves.slice(0, 1), has),
        commitIndex: (view) => pairSoloRules.commitIndex({ ...view, halves: view.halves.slice(0, 1) }),
      });
      expectViolation(check(changes[name], { terms: 2, entries: 3, epochs: 0 }, rules), /Safety|Completeness/);
    });
  }

  test("SOLO reads local only if self + engaged witnesses are a quorum of every half (all witnesses engaged)", () => {
    const mayReadLocally: PairSoloRules["mayReadLocally"] = ({ leader, halves, isWitness, commit, termStart }) => {
      const witnesses = halves.flat().filter(isWitness);
      const all = witnesses.every((witness) => pairSoloRules.isEngaged(leader, witness));
      return leader.mode === Mode.SOLO && commit >= termStart && witnesses.length > 0 && all;
    };
    const bounds = { terms: 2, entries: 3, epochs: 2 };
    expectViolation(
      check(changes["a full member replaced by a witness"], bounds, leading({ mayReadLocally })),
      /StaleLocalRead/,
    );
  });
});

describe("A change replaces at most one full member and never removes the leader", () => {
  /** In SOLO with B lost, A replaces one full member by C, catches C up and leaves the joint configuration. */
  function afterChange(to: readonly number[]): State {
    const model = new MembershipModel({
      change: { from: [A, B, W], to },
      bounds: { terms: 1, entries: 4, epochs: 2 },
    });
    const engage = (epoch: number): string[] => [`W engaged by A at (1,${epoch})`, "A learns that W is engaged"];
    const enter = [
      "SOLO A",
      ...engage(1),
      "commit A to 2",
      "apply A",
      "ENTER A",
      ...engage(2),
      "commit A to 3",
      "apply A",
    ];
    return follow(model, [
      ...enter,
      "append A->C",
      "LEAVE A",
      ...engage(3),
      "append A->C",
      "commit A to 4",
      "append A->C (ack lost)",
      "apply A",
    ]);
  }

  /** Whether the survivors can commit anything more. */
  function canCommit(start: State, to: readonly number[], dead: readonly number[]): boolean {
    const bounds = { terms: 3, entries: 6, epochs: 3, dead };
    const base = new MembershipModel({ change: { from: [A, B, W], to }, bounds, from: start });
    const goal: Model<State> = {
      start: () => base.start(),
      encode: base.encode,
      decode: base.decode,
      show: base.show,
      successors: (state, emit) => base.successors(state, emit),
      violation: (state) => (state.committed.length > start.committed.length ? "committed" : undefined),
    };
    const search = explore(goal, 1_000_000);
    expect(search.exhausted).toBe(true);
    return search.violation !== undefined;
  }

  test("after the leader replaced the lost member, it and the new one go on without each other's help but the witness's", () => {
    expect(canCommit(afterChange([A, C, W]), [A, C, W], [B])).toBe(true);
    expect(canCommit(afterChange([A, C, W]), [A, C, W], [B, C])).toBe(true);
  });

  test("a change that removes the leader leaves the new member and the witness stuck with only B lost", () => {
    expect(canCommit(afterChange([B, C, W]), [B, C, W], [A, B])).toBe(false);
  });
});
