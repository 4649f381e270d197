import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CommitView, type LeaderEpoch, Mode, pairSoloRules as rules } from "./pairsolo.ts";

const SELF = 1;
const isWitness = (id: number): boolean => id >= 8;
const members = (...halves: number[][]) => ({ halves, self: SELF, isWitness });

/** The rule entry by entry, as raft-and-witness.md words it, except that the witness needs the leader's own durability. */
function slowCommit(view: CommitView, log: readonly { term: number; epoch: number }[], term: number): number {
  const { leader } = view;
  for (let k = log.length; k > 0; k--) {
    const entry = log[k - 1]!;
    if (entry.term !== term) continue;
    const acked = (id: number): boolean => {
      if (id === SELF) return view.selfDurable >= k;
      if (!isWitness(id)) return view.match(id) >= k;
      if (view.selfDurable < k) return false;
      return leader.mode === Mode.SOLO && leader.wAcked.get(id) === leader.epoch && entry.epoch === leader.epoch;
    };
    if (view.halves.every((half) => half.length === 0 || half.filter(acked).length * 2 > half.length)) return k;
  }
  return 0;
}

const half = fc.uniqueArray(fc.constantFrom(1, 2, 3, 4, 8), { maxLength: 4 });
const otherHalf = fc.uniqueArray(fc.constantFrom(1, 2, 3, 4, 9), { maxLength: 4 });

describe("pair and solo rules", () => {
  test("the commit index is the rule's, entry by entry, for any halves, logs and acknowledgements", () => {
    const input = fc.record({
      halves: fc.oneof(fc.tuple(half), fc.tuple(half, otherHalf)),
      older: fc.nat(3),
      perEpoch: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
      selfDurable: fc.nat(12),
      matches: fc.array(fc.nat(12), { minLength: 8, maxLength: 8 }),
      solo: fc.boolean(),
      engaged: fc.subarray([8, 9]),
    });
    fc.assert(
      fc.property(input, ({ halves, older, perEpoch, selfDurable, matches, solo, engaged }) => {
        fc.pre(halves.some((ids) => ids.length > 0));
        const log = Array.from({ length: older }, () => ({ term: 1, epoch: 2 }));
        for (const [epoch, count] of perEpoch.entries()) for (let n = 0; n < count; n++) log.push({ term: 2, epoch });
        const epoch = perEpoch.length - 1;
        const epochStart = log.length - perEpoch[epoch]! + 1;
        const wAcked = new Map(engaged.map((id) => [id, epoch]));
        const leader: LeaderEpoch = { mode: solo ? Mode.SOLO : Mode.PAIR, epoch, epochStart, wAcked };
        const lastIndex = log.length;
        const match = (id: number): number => Math.min(matches[id] ?? 0, lastIndex);
        const view: CommitView = {
          ...members(...halves),
          leader,
          lastIndex,
          termStart: older + 1,
          match,
          selfDurable: Math.min(selfDurable, lastIndex),
        };

        expect(rules.commitIndex(view)).toBe(slowCommit(view, log, 2));
      }),
      { numRuns: 5000 },
    );
  });

  test("a leader is elected into SOLO exactly when a half with a witness lacks a full majority of votes", () => {
    const voted =
      (...ids: number[]) =>
      (id: number) =>
        ids.includes(id);
    expect(rules.elected(members([1, 2, 8]), voted(1, 8), 5)).toMatchObject({
      mode: Mode.SOLO,
      epoch: 0,
      epochStart: 5,
    });
    expect(rules.elected(members([1, 2, 8]), voted(1, 2), 5).mode).toBe(Mode.PAIR);
    expect(rules.elected(members([1, 2, 3]), voted(1, 2), 5).mode).toBe(Mode.PAIR);
    expect(rules.elected(members([1, 2, 3], [1, 2, 9]), voted(1, 3, 9), 5).mode).toBe(Mode.SOLO);
  });

  test("SOLO is entered only when something waits and not while draining", () => {
    const entry = { mode: Mode.PAIR, lacking: true, waiting: true, draining: false };
    expect(rules.enterSolo(entry)).toBe(true);
    for (const but of [{ mode: Mode.SOLO }, { lacking: false }, { waiting: false }, { draining: true }]) {
      expect(rules.enterSolo({ ...entry, ...but })).toBe(false);
    }
  });

  test("an epoch change ends local reads and the engagement, and WEngage waits for its entry to be durable", () => {
    const leader: LeaderEpoch = { mode: Mode.SOLO, epoch: 1, epochStart: 4, wAcked: new Map([[8, 1]]) };
    const view = { ...members([1, 2, 8]), leader, commit: 4, termStart: 3, transferring: false };
    expect(rules.mayReadLocally(view)).toBe(true);
    expect(rules.mayReadLocally({ ...view, transferring: true })).toBe(false);
    expect(rules.mayReadLocally({ ...view, commit: 2 })).toBe(false);
    expect(
      rules.mayReadLocally({
        ...view,
        halves: [
          [1, 2, 8],
          [1, 2, 3],
        ],
      }),
    ).toBe(false);

    rules.startEpoch(leader, Mode.SOLO, 6);

    expect(rules.mayReadLocally(view)).toBe(false);
    expect(rules.mayEngage(leader, 8, 5)).toBe(false);
    expect(rules.mayEngage(leader, 8, 6)).toBe(true);
    expect(rules.engageReplyCounts(leader, 2, { term: 2, epoch: 1, ok: true })).toBe(false);
    expect(rules.engageReplyCounts(leader, 2, { term: 2, epoch: 2, ok: true })).toBe(true);
  });

  test("CheckQuorum is satisfied by the peer or a ping in PAIR, and off while SOLO is engaged", () => {
    const nobody = (): boolean => false;
    const leader: LeaderEpoch = { mode: Mode.PAIR, epoch: 0, epochStart: 1, wAcked: new Map() };
    expect(rules.checkQuorum(members([1, 2, 8]), leader, nobody)).toBe(false);
    expect(rules.checkQuorum(members([1, 2, 8]), leader, (id) => id === 2)).toBe(true);
    expect(rules.checkQuorum(members([1, 2, 8]), leader, (id) => id === 8)).toBe(true);

    rules.startEpoch(leader, Mode.SOLO, 2);
    expect(rules.checkQuorum(members([1, 2, 8]), leader, nobody)).toBe(false);
    rules.engaged(leader, 8);
    expect(rules.checkQuorum(members([1, 2, 8]), leader, nobody)).toBe(true);
  });

  test("leadership is transferred only in PAIR to a member that holds the whole log", () => {
    const leader: LeaderEpoch = { mode: Mode.PAIR, epoch: 0, epochStart: 1, wAcked: new Map() };
    expect(rules.mayTransfer(leader, 7, 7)).toBe(true);
    expect(rules.mayTransfer(leader, 6, 7)).toBe(false);
    expect(rules.mayTransfer({ ...leader, mode: Mode.SOLO }, 7, 7)).toBe(false);
  });
});
