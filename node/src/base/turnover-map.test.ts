import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { TurnoverMap } from "./turnover-map.ts";

test("what was added and not taken out is there, whatever went through meanwhile", () => {
  const map = new TurnoverMap<number, string>();
  map.set(-1, "stays");
  for (let i = 0; i < 1000; i++) {
    map.set(i, `value ${i}`);
    if (i >= 100) expect(map.delete(i - 100)).toBe(true);
  }

  expect(map.size).toBe(101);
  expect(map.get(-1)).toBe("stays");
  expect(map.has(899)).toBe(false);
  expect([...map.values()].at(-1)).toBe("value 999");
  map.clear();
  expect([map.size, map.delete(999)]).toEqual([0, false]);
});

test("entries come in the order in which they were added, and one that is set again stays in its place", () => {
  const map = new TurnoverMap<string, number>();
  for (let i = 0; i < 200; i++) map.set(`${i}`, i);
  map.set("7", 1000);

  const values = [...map.values()];
  expect([values[7], values[8], values.length]).toEqual([1000, 8, 200]);
});

test("an entry that is taken out while the map is walked is not met", () => {
  const map = new TurnoverMap<number, number>();
  for (let i = 0; i < 10; i++) map.set(i, i);

  const met: number[] = [];
  for (const value of map.values()) {
    met.push(value);
    map.delete(value + 1);
  }
  expect(met).toEqual([0, 2, 4, 6, 8]);
});

test("what went through it dies in the nursery, though the map itself has left it", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (how: { type: "minor" }) => void;
  const oldBytes = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")!.space_used_size;
  const map = new TurnoverMap<number, unknown>();
  let next = 0;
  const pass = () => {
    for (const end = next + 1000; next < end; next++) {
      map.set(next, new Array(64).fill(next + 0.5));
      map.delete(next - 50);
    }
    collect({ type: "minor" });
  };
  pass();
  // A pause, in which the map with what it holds leaves the nursery.
  for (let i = 0; i < 3; i++) collect({ type: "minor" });
  const before = oldBytes();
  for (let i = 0; i < 50; i++) pass();

  // Half a kilobyte each: 25 MB went through.
  expect(oldBytes() - before).toBeLessThan(5_000_000);
});
