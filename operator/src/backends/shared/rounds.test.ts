import { expect, test } from "vitest";
import type { Condition } from "../../api/conditions.ts";
import { Rounds } from "./rounds.ts";

const raised = (object: string, type: Condition["type"], status: Condition["status"]) => ({
  type: "raiseCondition" as const,
  object,
  condition: { type, status, reason: type, message: "" },
});

test("the last word on each condition is kept, and something moves while an object is Reconciling", () => {
  const rounds = new Rounds();

  rounds.note([raised("Box/a", "Reconciling", "True"), raised("Box/a", "Ready", "False")], () => true);
  expect(rounds.isMoving).toBe(true);
  rounds.note([raised("Box/a", "Reconciling", "False")], () => true);

  expect(rounds.isMoving).toBe(false);
  expect(rounds.conditions.get("Box/a")?.map(({ type, status }) => `${type}=${status}`)).toEqual([
    "Ready=False",
    "Reconciling=False",
  ]);
});

test("rounds without news are counted, and what nobody declares is forgotten, the Federation never", () => {
  const rounds = new Rounds();
  rounds.note([raised("Box/a", "Ready", "True"), raised("Federation/federation", "Ready", "True")], () => true);

  rounds.note([], () => false);
  rounds.note([], () => false);

  expect(rounds.quiet).toBe(2);
  expect([...rounds.conditions.keys()]).toEqual(["Federation/federation"]);
});
