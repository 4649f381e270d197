import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { expect, test } from "vitest";
import { ruleOf, textIn } from "../../planner/rules-plan.ts";
import { desired, zone } from "../../planner/testing/specs.ts";
import { RefusedRules } from "./refused-rules.ts";

const wanted = desired(
  zone("x", { mode: "strong", authorityBox: "a" }),
  zone("y", { mode: "strong", authorityBox: "a" }),
);
const rules = [...wanted.zones.values()].map((each) => ruleOf(each, wanted, 2));
const install = { type: "installRules" as const, expectedEpoch: 1, rules };
const blaming = (rule: string) => new NexusError("NOT_EMPTY", "3 files lie below", { refusal: { details: { rule } } });

function remembered() {
  const clock = new VirtualClock();
  return { clock, refused: new RefusedRules(clock, { unit: () => 1, bytes: () => new Uint8Array() }) };
}

test("the rule to blame is remembered with the reason, and is due again ever later", async () => {
  const { clock, refused } = remembered();

  refused.failed(install, blaming("y"), []);
  expect([...refused.view.keys()]).toEqual(["y"]);
  expect(refused.view.get("y")).toMatchObject({ text: textIn(rules, "y"), due: false });
  expect(refused.view.get("y")?.message).toContain("refused (NOT_EMPTY): 3 files lie below.");
  await clock.run(1000);
  expect(refused.view.get("y")?.due).toBe(true);

  refused.failed(install, blaming("y"), []);
  await clock.run(1000);
  expect(refused.view.get("y")?.due).toBe(false);
});

test("an answer that names no rule blames the only change, and nobody when there are several", () => {
  const { refused } = remembered();
  const silent = new NexusError("INVALID", "no");

  refused.failed(install, silent, []);
  expect(refused.view.size).toBe(0);
  refused.failed(install, silent, rules.slice(0, 1));
  expect([...refused.view.keys()]).toEqual(["y"]);
});

test("what passes by itself blames no rule, and an installed or undeclared one is forgotten", () => {
  const { refused } = remembered();

  refused.failed(install, new NexusError("NO_LEADER", "soon", { refusal: { details: { rule: "y" } } }), []);
  expect(refused.view.size).toBe(0);

  refused.failed(install, blaming("x"), []);
  refused.failed(install, blaming("y"), []);
  refused.installed({ ...install, rules: rules.slice(1) });
  expect([...refused.view.keys()]).toEqual(["x"]);
  refused.keep(new Map());
  expect(refused.view.size).toBe(0);
});
