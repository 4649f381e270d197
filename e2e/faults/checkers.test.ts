// The checkers themselves: both refuse histories that are deliberately wrong, take right ones, and agree on thousands of
// random ones. What both overlook would be overlooked in every other test here.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { History, type Kind, type Line, type Model, type Outcome } from "../harness/history.ts";
import { wrongPaths } from "../harness/linearizable.ts";
import { porcupine } from "../harness/porcupine.ts";

const second = porcupine();
const isMissing = typeof second === "string";
if (isMissing) console.warn(`SKIPPED: Porcupine, and its agreement with our checker. ${second}`);
const byPorcupine = (lines: Line[]) => {
  if (typeof second === "string") throw new Error(second);
  return second(lines);
};

interface Told {
  kind: Kind;
  value?: string;
  expected?: string;
  slots?: number;
  /** Of a read. */
  found?: string;
  outcome?: Outcome;
}

/** Calls one after the other. */
function sequence(model: Model, told: Told[]): Line[] {
  const history = new History();
  for (const { kind, value = "", expected = "", slots, found = "", outcome = "ok" } of told) {
    const id = history.invoke({ client: 1, model, kind, path: `/${model}`, value, expected, ...(slots && { slots }) });
    history.complete(id, { outcome, value: found });
  }
  return history.lines;
}

const write = (value: string, outcome: Outcome = "ok"): Told => ({ kind: "write", value, outcome });
const read = (found: string): Told => ({ kind: "read", found });
const append = (value: string): Told => ({ kind: "append", value });
const increment = (value: string, outcome: Outcome = "ok"): Told => ({ kind: "increment", value, outcome });
const acquire = (value: string, slots = 1): Told => ({ kind: "acquire", value, slots });
const release = (value: string): Told => ({ kind: "release", value });

const right: [string, Model, Told[]][] = [
  ["a write is read", "register", [write("a"), read("a")]],
  ["a write of unknown fate is read late", "register", [write("a", "unknown"), read(""), read("a")]],
  [
    "a swap that failed for its reason",
    "register",
    [write("a"), { ...write("b", "failed"), kind: "cas", expected: "c" }],
  ],
  ["items in the order of their calls", "list", [append("1"), append("2"), read("1,2")]],
  ["one number after the other", "counter", [increment("1"), increment("2", "unknown"), increment("2"), read("2")]],
  ["a slot given again", "semaphore", [acquire("x"), release("x"), acquire("y")]],
  ["two slots", "semaphore", [acquire("x", 2), acquire("y", 2)]],
];
const wrong: [string, Model, Told[]][] = [
  ["a stale read", "register", [write("a"), write("b"), read("a")]],
  ["an acknowledged write that is gone", "register", [write("a"), read("")]],
  ["a value that nobody wrote", "register", [write("a"), read("z")]],
  ["a swap that should have failed", "register", [write("a"), { kind: "cas", value: "b", expected: "c" }]],
  [
    "a swap that should not have failed",
    "register",
    [write("a"), { ...write("b", "failed"), kind: "cas", expected: "a" }],
  ],
  [
    "a write of unknown fate that comes and goes",
    "register",
    [write("a"), write("b", "unknown"), read("b"), read("a")],
  ],
  ["a lost item", "list", [append("1"), append("2"), read("2")]],
  ["a doubled item", "list", [append("1"), read("1,1")]],
  ["a lost increment", "counter", [increment("1"), increment("1")]],
  ["an increment that was done twice", "counter", [increment("1"), read("2")]],
  ["a lock with two holders", "semaphore", [acquire("x"), acquire("y")]],
  ["a third holder of two slots", "semaphore", [acquire("x", 2), acquire("y", 2), acquire("z", 2)]],
];

describe("our checker", () => {
  test.each(right)("takes %s", (_, model, told) => {
    expect(wrongPaths(sequence(model, told))).toEqual([]);
  });

  test.each(wrong)("refuses %s", (_, model, told) => {
    expect(wrongPaths(sequence(model, told))).toEqual([`/${model}`]);
  });
});

describe.skipIf(isMissing)("Porcupine", () => {
  test.each(right)("takes %s", (_, model, told) => {
    expect(byPorcupine(sequence(model, told))).toMatchObject({ checked: 1, wrong: [] });
  });

  test.each(wrong)("refuses %s", (_, model, told) => {
    expect(byPorcupine(sequence(model, told))).toMatchObject({ checked: 1, wrong: [`/${model}`] });
  });

  test("agrees with our checker on 2,000 random histories of every model, right and wrong ones", () => {
    const histories = fc.sample(fc.tuple(fc.constantFrom(...kinds.keys()), fc.array(step, { maxLength: 14 })), {
      numRuns: 2000,
      seed: 4,
    });
    const lines = histories.flatMap(([model, steps], i) => overlapping(model, `/${i}`, { steps, firstId: i * 100 }));
    const ours = wrongPaths(lines).sort();
    const theirs = byPorcupine(lines);

    expect(theirs.unknown).toEqual([]);
    expect(theirs.wrong).toEqual(ours);
    expect(ours.length).toBeGreaterThan(300);
    expect(theirs.checked - ours.length).toBeGreaterThan(300);
  });
});

const kinds = new Map<Model, Kind[]>([
  ["register", ["read", "write", "create", "cas", "delete"]],
  ["list", ["read", "append"]],
  ["counter", ["read", "increment"]],
  ["semaphore", ["acquire", "release", "expire"]],
]);

/** Ends a call that is open, or begins one: few values, so that many histories are right. */
const step = fc.record({
  end: fc.boolean(),
  which: fc.nat(10),
  value: fc.nat(3),
  expected: fc.nat(3),
  outcome: fc.constantFrom<Outcome>("ok", "ok", "ok", "ok", "failed", "none", "unknown"),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Calls that overlap as the steps say; those left open are of unknown fate. */
function overlapping(model: Model, path: string, { steps, firstId }: { steps: Step[]; firstId: number }): Line[] {
  const lines: Line[] = [];
  const open: number[] = [];
  const own = kinds.get(model)!;
  for (const [i, { end, which, value, expected, outcome }] of steps.entries()) {
    const of = (n: number) => (n === 0 ? "" : String(n));
    if (!end || open.length === 0) {
      const id = firstId + i;
      open.push(id);
      const kind = own[which % own.length]!;
      const call = { client: 0, model, kind, path, value: String(value + 1), expected: of(expected), slots: 1 };
      lines.push({ event: "invoke", id, ...call, atMs: 0 });
      continue;
    }
    const [id] = open.splice(which % open.length, 1);
    const found = model === "list" ? ["", "1", "1,2", "2"][value]! : of(value);
    lines.push({ event: "complete", id: id!, outcome, code: "", value: found, copies: 0, degraded: false, atMs: 0 });
  }
  return lines;
}
