import type { DeclaredReplica, GroupConfig } from "@nexus-federation/proto/raft.ts";
import { describe, expect, test } from "vitest";
import { Mode } from "../raft/pairsolo.ts";
import { emptyConfig, firstConfig } from "./config.ts";
import { type MembershipState, type MembershipStep, nextStep, targetRefusal } from "./membership-plan.ts";

const incarnation = (box: string) => Buffer.alloc(16, box.charCodeAt(0));

function declared(...names: string[]): DeclaredReplica[] {
  return names.map((name) => {
    const role = name.startsWith("w") ? "witness" : name.startsWith("l-") ? "learner" : "voter";
    const box = name.replace("l-", "");
    return { box, role, incarnation: incarnation(box) };
  });
}

/** Members with ids 1, 2, ... in the order of their names. */
function config(...names: string[]): GroupConfig {
  const members = declared(...names).map(({ box, role }, i) => {
    return { replica: i + 1, box, role, incarnation: incarnation(box) };
  });
  return firstConfig(members, {});
}

function step(from: GroupConfig, to: DeclaredReplica[], more: Partial<MembershipState> = {}): MembershipStep {
  const state: MembershipState = {
    config: from,
    leader: 1,
    mode: Mode.PAIR,
    changing: false,
    lost: new Set(),
    drawn: new Map(),
    caughtUp: () => true,
    ...more,
  };
  return nextStep(state, { revision: 1, hash: "", members: to, failure: "" });
}

/** As `v2 r1 l3 w4`. */
function changes(of: MembershipStep): string {
  if (of.kind !== "change") return of.kind;
  const letters: Record<string, string> = {
    ConfChangeAddNode: "v",
    ConfChangeRemoveNode: "r",
    ConfChangeAddLearnerNode: "l",
    ConfChangeAddWitness: "w",
  };
  return of.changes.map(({ type, nodeId }) => `${letters[type]}${nodeId}`).join(" ");
}

describe("the next step of a membership", () => {
  test("is none when all is as declared", () => {
    expect(step(config("a", "b", "w"), declared("a", "b", "w"))).toEqual({ kind: "done" });
  });

  test("adds a new full member as a learner under an id never used", () => {
    expect(changes(step(config("a"), declared("a", "b")))).toBe("l2");
  });

  test("waits for a learner that is behind", () => {
    expect(step(config("a", "l-b"), declared("a", "b"), { caughtUp: (id) => id !== 2 })).toMatchObject({
      kind: "wait",
    });
  });

  test("draws the witness's incarnation first, then takes it in with the second member in one step", () => {
    const from = config("a", "l-b");

    expect(step(from, declared("a", "b", "w"))).toEqual({ kind: "join-witness", box: "w" });
    const next = step(from, declared("a", "b", "w"), { drawn: new Map([["w", incarnation("w")]]) });

    expect(changes(next)).toBe("v2 w3");
    expect(next).toMatchObject({ members: [{ replica: 3, box: "w", role: "witness" }], nextReplica: 4 });
  });

  test("removes witness and second member together", () => {
    expect(changes(step(config("a", "b", "w"), declared("a")))).toBe("r2 r3");
  });

  test("replaces the witness by the third member in one step", () => {
    expect(changes(step(config("a", "b", "w", "l-c"), declared("a", "b", "c")))).toBe("v4 r3");
  });

  test("hands over before the leader is replaced", () => {
    const step1 = step(config("a", "b", "c", "l-d"), declared("b", "c", "d"));
    expect(changes(step1)).toBe("v4");

    expect(step(config("a", "b", "c"), declared("b", "c"))).toEqual({ kind: "transfer", to: 2 });
  });

  test("makes of a voter that is declared a learner a learner", () => {
    expect(changes(step(config("a", "b", "c"), declared("a", "b", "l-c")))).toBe("l3");
  });

  test("replaces a witness that lost its record, in PAIR only", () => {
    const more = { lost: new Set([3]), drawn: new Map([["w", Buffer.alloc(16, 9)]]) };

    expect(changes(step(config("a", "b", "w"), declared("a", "b", "w"), more))).toBe("r3 w4");
    expect(step(config("a", "b", "w"), declared("a", "b", "w"), { ...more, mode: Mode.SOLO })).toMatchObject({
      kind: "wait",
    });
  });

  test("replaces a member that lost its data by a new replica of the same box", () => {
    expect(changes(step(config("a", "b", "c"), declared("a", "b", "c"), { lost: new Set([2]) }))).toBe("l4");
  });
});

describe("a declaration is refused", () => {
  test.each([
    [["a", "w"], "exactly two full members"],
    [["a", "b", "c", "w"], "exactly two full members"],
    [["a", "b", "w", "w2"], "at most one witness"],
    [["w"], "at least one full member"],
    [["a", "a"], "named twice"],
  ])("%s: %s", (names, reason) => {
    expect(targetRefusal(emptyConfig(), declared(...names))).toContain(reason);
  });

  test("when it would leave a witnessed pair without its witness", () => {
    expect(targetRefusal(config("a", "b", "w"), declared("a", "b"))).toContain("keep the witness");
  });
});
