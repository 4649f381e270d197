import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import { expect, test } from "vitest";
import { ruleOf } from "../tree/testing/rule.ts";
import { type HandoverStep, planHandover, planReturn } from "./handover-plan.ts";

function rule(zone: string, pattern: string, mode = "strong"): ZoneRule {
  return ruleOf({ zone, pattern, mode });
}
function lines(steps: HandoverStep[]): string[] {
  return steps.map(({ zone, operation }) => {
    const op = operation.op;
    if (op?.$case === "own") return `${zone} own ${op.value.pattern} without ${op.value.exclusions.join(" ")}`;
    if (op?.$case === "cede") return `${zone} cede ${op.value.pattern}`;
    return `${zone} ${op?.$case}`;
  });
}

const all = rule("all", "/**");
const deep = rule("deep", "/deep/**");

test("who loses gives up before anybody gains", () => {
  expect(lines(planHandover([all], [all, deep], 2))).toEqual([
    "all cede /deep/**",
    "all own /** without /deep/**",
    "deep own /deep/** without ",
    "deep setPolicy",
  ]);
});

test("a rule that goes is detached before the zone around it takes its paths", () => {
  expect(lines(planHandover([all, deep], [all], 3))).toEqual(["deep own  without ", "all own /** without "]);
});

test("giving back undoes what a hand-over may have done, in the same order", () => {
  expect(lines(planReturn([all], [all, deep], 2))).toEqual(["deep own  without ", "all own /** without "]);
});

test("giving back too, who gained gives up before who lost takes over", () => {
  const steps = lines(planReturn([deep, all], [all], 3));
  expect(steps.slice(0, 2)).toEqual(["all cede /deep/**", "deep own /deep/** without "]);
});

test("a map that changes a mode only touches no path", () => {
  const softer = rule("all", "/**", "eventual");
  expect(lines(planHandover([all, deep], [softer, deep], 4))).toEqual(["all setPolicy"]);
});

test("a map of many zones is planned without comparing each with each", () => {
  const rules = Array.from({ length: 10_000 }, (_, i) => rule(`z${i}`, `/z${i}/**`));
  // Pair by pair this took minutes, in which the box did nothing else.
  expect(planHandover(rules.slice(1), rules, 2)).toHaveLength(2);
});
