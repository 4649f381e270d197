import { describe, expect, test } from "vitest";
import { witnessRules as rules, type WitnessRecord } from "./witness.ts";

const engaged: WitnessRecord<string> = {
  incarnation: "w",
  term: 5,
  votedFor: undefined,
  engTerm: 4,
  engEpoch: 2,
  engHolder: "a",
};
const vote = (cand: string, at: { term: number; last: [number, number]; pre?: boolean }) => ({
  cand,
  term: at.term,
  lastTerm: at.last[0],
  lastEpoch: at.last[1],
  pre: at.pre ?? false,
});

describe("witness rules", () => {
  test("a log is up to date beyond the engagement, or when it is the holder's own", () => {
    expect(rules.up(engaged, vote("b", { term: 6, last: [5, 0] }))).toBe(true);
    expect(rules.up(engaged, vote("b", { term: 6, last: [4, 3] }))).toBe(true);
    expect(rules.up(engaged, vote("a", { term: 6, last: [4, 2] }))).toBe(true);
    expect(rules.up(engaged, vote("b", { term: 6, last: [4, 2] }))).toBe(false);
    expect(rules.up(engaged, vote("a", { term: 6, last: [4, 1] }))).toBe(false);
    expect(rules.up(engaged, vote("a", { term: 6, last: [3, 9] }))).toBe(false);
  });

  test("a refused vote of a higher term still adopts the term, and a PreVote changes nothing", () => {
    const refused = rules.onVote(engaged, vote("b", { term: 6, last: [4, 2] }));
    expect(refused).toMatchObject({
      changed: true,
      record: { term: 6, engTerm: 4 },
      reply: { term: 6, granted: false },
    });

    const pre = rules.onVote(engaged, vote("a", { term: 6, last: [4, 2], pre: true }));
    expect(pre).toMatchObject({ changed: false, reply: { term: 5, granted: true } });
    expect(pre.record).toBe(engaged);
  });

  test("one vote a term, repeated for the same candidate without a change", () => {
    const first = rules.onVote(engaged, vote("a", { term: 6, last: [4, 2] }));
    expect(first.record.votedFor).toBe("a");
    const repeated = rules.onVote(first.record, vote("a", { term: 6, last: [4, 2] }));
    expect(repeated).toMatchObject({ changed: false, reply: { granted: true } });
    expect(rules.onVote(first.record, vote("b", { term: 6, last: [5, 0] })).reply.granted).toBe(false);
    expect(rules.onVote(first.record, vote("b", { term: 7, last: [5, 0] })).reply.granted).toBe(true);
  });

  test("an engagement moves forward, is idempotent for its holder, and is refused when older or another's", () => {
    expect(rules.onEngage(engaged, { term: 4, leader: "a", epoch: 3 }).reply).toEqual({ term: 5, epoch: 3, ok: false });
    const next = rules.onEngage(engaged, { term: 6, leader: "b", epoch: 1 });
    expect(next.record).toMatchObject({ term: 6, engTerm: 6, engEpoch: 1, engHolder: "b" });
    expect(rules.onEngage(next.record, { term: 6, leader: "b", epoch: 1 })).toMatchObject({
      changed: false,
      reply: { ok: true },
    });
    expect(rules.onEngage(next.record, { term: 6, leader: "a", epoch: 1 }).reply.ok).toBe(false);
    expect(rules.onEngage(next.record, { term: 6, leader: "b", epoch: 0 }).reply.ok).toBe(false);
  });

  test("a message for an unknown record or another incarnation finds no record", () => {
    expect(rules.recordFor(engaged, "w")).toBe(engaged);
    expect(rules.recordFor(engaged, "v")).toBeUndefined();
    expect(rules.recordFor(undefined, "w")).toBeUndefined();
  });
});
