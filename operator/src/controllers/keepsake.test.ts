import { expect, test } from "vitest";
import type { ObservedLog, ObservedRule } from "../planner/observed.ts";
import { nothingKept, type Remembrance, remembered } from "./keepsake.ts";

const ended = { endedAtMs: 1, spec: {} };
const logs = (...zones: string[]) =>
  new Map(zones.map((zone) => [zone, { uid: `uid-${zone}` } as unknown as ObservedLog]));
const world = (more: Partial<Remembrance> & { zones?: string[]; serves?: boolean } = {}): Remembrance => ({
  observed: {
    logs: logs("system", ...(more.zones ?? [])),
    rules: [{ zone: "ruled" } as ObservedRule],
    systemServes: more.serves ?? true,
    bootstrapped: true,
  },
  declared: new Set(),
  retired: {},
  clusters: 1,
  federation: "acme",
  nowMs: 10,
  ...more,
});

test("a zone is kept while it has a log, a rule, a declaration or a retention that runs, and is dropped with its data", () => {
  const before = { ...nothingKept, uids: { system: "s", gone: "1", ruled: "2", named: "3", old: "4" } };
  const retired = { old: ended, late: { ...ended, endedAtMs: 99 } };

  const next = remembered(before, world({ zones: ["live"], declared: new Set(["named"]), retired }));

  expect(next.uids).toEqual({ system: "uid-system", live: "uid-live", ruled: "2", named: "3" });
  expect(Object.keys(next.retired)).toEqual(["late"]);
  expect(next.federation).toBe("acme");
});

test("nothing is dropped while the system zone does not serve: who is not seen may still have data", () => {
  const before = { ...nothingKept, federation: "acme", uids: { gone: "1" } };

  const next = remembered(before, world({ serves: false, retired: { gone: ended } }));

  expect([next.uids["gone"], next.retired["gone"]]).toEqual(["1", ended]);
});
