import { expect, test } from "vitest";
import { parseChanges } from "./confchange/parse.ts";
import { type MembershipView, membershipRefusal } from "./membership.ts";
import { type ConfChangeSingle, EMPTY_CONF_STATE } from "./types.ts";

const pair: MembershipView = view([1, 2, 3], [3], [4]);
const single: MembershipView = view([1], [], [2]);
const three: MembershipView = view([1, 2, 3], [], [4]);

function view(voters: number[], witnesses: number[], learners: number[]): MembershipView {
  return {
    conf: { ...EMPTY_CONF_STATE, voters, witnesses, learners },
    leader: 1,
    mode: "PAIR",
    caughtUp: () => true,
  };
}

function changes(text: string): readonly ConfChangeSingle[] {
  const parsed = parseChanges(text);
  return parsed.ok ? parsed.changes : [];
}

test.each([
  [single, "v2 w3", "one becomes two and a witness in one step"],
  [pair, "r2 r3", "two and a witness become one in one step"],
  [pair, "r2 v4", "a full member is replaced"],
  [pair, "r3 w5", "a witness is replaced"],
  [pair, "r3 v4", "a witness is replaced by a full member"],
  [three, "r3 w5", "a full member is replaced by a witness"],
  [pair, "r2 v4 r3 w5", "one full member and the witness are replaced"],
  [pair, "l6", "a learner is added"],
  [pair, "r4", "a learner is removed"],
])("%#: allowed, %s", (from, text) => {
  expect(membershipRefusal(from, changes(text))).toBeUndefined();
});

test.each([
  [single, "w3", "exactly two full members"],
  [three, "w5", "exactly two full members"],
  [pair, "w5", "at most one witness"],
  [pair, "r2", "stop at the next loss"],
  [pair, "r3", "stop at the first loss"],
  [pair, "r1 v4", "transfer leadership first"],
  [pair, "r1 r3", "transfer leadership first"],
  [pair, "v4", "exactly two full members"],
  [pair, "r2 v6", "must join as a learner"],
  [pair, "v3", "is a witness"],
  [pair, "r3 w2", "holds a log"],
  [{ ...pair, mode: "SOLO" as const }, "r3 w5", "in PAIR only"],
  [{ ...pair, caughtUp: () => false }, "r2 v4", "not caught up"],
  [{ ...three, conf: { ...three.conf, learners: [4, 5] } }, "r2 r3 v4 v5", "at most one full member"],
  [{ ...pair, conf: { ...pair.conf, votersOutgoing: [1] } }, "l6", "under way"],
])("%#: refused, %s: %s", (from, text, reason) => {
  expect(membershipRefusal(from, changes(text))).toContain(reason);
});
