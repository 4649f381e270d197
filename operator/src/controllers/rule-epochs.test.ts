import { expect, test } from "vitest";
import type { Observed, ObservedRule } from "../planner/observed.ts";
import { RuleEpochs } from "./rule-epochs.ts";

const rule = (mode: string): ObservedRule => ({
  zone: "root",
  pattern: "/**",
  log: 1,
  mode,
  writers: "authority",
  locks: "refuse",
  readPreference: "leader",
  writeConcern: "majority",
  staleReadMaxAgeMs: 0,
  regions: [],
  copiesDeclared: 2,
  state: "active",
  generation: 1,
  members: [],
});
const seen = (epoch: number, mode?: string) =>
  ({ epoch, systemServes: true, rules: mode === undefined ? [] : [rule(mode)] }) as unknown as Observed;
const object = (status?: object) => ({
  apiVersion: "v1",
  kind: "ConsensusZone",
  metadata: { name: "root", generation: 3 },
  ...(status === undefined ? {} : { status }),
});

test("a rule keeps the epoch at which its text was first seen, whatever other rules do to the map", () => {
  const epochs = new RuleEpochs();

  expect(epochs.of("root", object(), seen(4, "strong"))).toBe(4);
  expect(epochs.of("root", object(), seen(9, "strong"))).toBe(4);
  expect(epochs.of("root", object(), seen(10, "strong_ha"))).toBe(10);
  expect(epochs.of("root", object(), seen(11))).toBe(0);
});

test("after a restart the status is believed when it speaks of this spec", () => {
  const restarted = (status: object) => new RuleEpochs().of("root", object(status), seen(9, "strong"));

  expect(restarted({ epoch: 4, observedGeneration: 3 })).toBe(4);
  expect(restarted({ epoch: 4, observedGeneration: 2 })).toBe(9);
  expect(restarted({ epoch: 12, observedGeneration: 3 })).toBe(9);
});
