import fc from "fast-check";
import { expect, test } from "vitest";
import type { Random } from "../base/clock.ts";
import { seededRandom } from "../base/seeded-random.ts";
import type { Entry, HardState } from "../raft/types.ts";
import { MemoryDisk } from "./disk-memory.ts";
import type { LogWrite } from "./records.ts";
import { type LogSettings, SegmentLog } from "./segment-log.ts";

/** The obvious model: what one group has stored. */
interface Group {
  hardState: HardState;
  start: number;
  entries: Entry[];
}
type Model = Map<number, Group>;

const settings: Partial<LogSettings> = {
  segmentBytes: 4096,
  frameBytesMax: 1024,
  segmentsBeforeRelocation: 2,
  relocationShareMax: 0.3,
  relocationStepBytes: 300,
  salt: 77,
};

function applyToModel(model: Model, batch: readonly LogWrite[]): Model {
  const next = new Map([...model].map(([key, group]) => [key, { ...group, entries: [...group.entries] }]));
  for (const write of batch) {
    if (write.reset || write.removeGroup) next.delete(write.group);
    if (write.removeGroup) continue;
    const group = next.get(write.group) ?? { hardState: { term: 0, vote: 0, commit: 0 }, start: 0, entries: [] };
    next.set(write.group, group);
    if (write.hardState) group.hardState = write.hardState;
    const { snapshotMeta, entries } = write;
    if (snapshotMeta) {
      group.start = snapshotMeta.index;
      group.entries = group.entries.filter((entry) => entry.index > snapshotMeta.index);
    }
    if (entries?.length) group.entries = [...group.entries.filter((e) => e.index < entries[0]!.index), ...entries];
  }
  return next;
}

function randomWrite(model: Model, random: Random): LogWrite {
  const pick = (below: number) => Math.floor(random.unit() * below);
  const group = 1 + pick(4);
  const known = model.get(group);
  const start = known?.start ?? 0;
  const last = start + (known?.entries.length ?? 0);
  if (known === undefined) return { group, generation: 1, reset: true, ...content(start, 1 + pick(3), random) };
  const kind = random.unit();
  if (kind < 0.02) return { group, generation: 1, removeGroup: true };
  if (kind < 0.05) {
    const index = last + pick(20);
    return { group, generation: 1, reset: true, snapshotMeta: meta(index), hardState: hard(index, random) };
  }
  if (kind < 0.15 && last > start) return { group, generation: 1, snapshotMeta: meta(start + 1 + pick(last - start)) };
  if (kind < 0.3) return { group, generation: 1, hardState: hard(last, random) };
  const keep = kind < 0.4 ? start + pick(last - start + 1) : last;
  return { group, generation: 1, ...content(keep, 1 + pick(4), random) };
}

function content(after: number, count: number, random: Random): Pick<LogWrite, "entries" | "hardState"> {
  const term = 1 + Math.floor(random.unit() * 1e6);
  const entries = Array.from({ length: count }, (_, i): Entry => {
    const data = random.bytes(Math.floor(random.unit() * 120));
    return { index: after + 1 + i, term, epoch: 3, type: "EntryNormal", data };
  });
  return { entries, hardState: { term, vote: 2, commit: after } };
}
function hard(last: number, random: Random): HardState {
  return { term: 1 + Math.floor(random.unit() * 1e6), vote: 1, commit: last };
}
function meta(index: number) {
  return { index, term: 5, epoch: 1, conf: Uint8Array.from([1, 2, 3]) };
}

async function recovered(disk: MemoryDisk) {
  const { log, groups, corrupt } = await SegmentLog.open(disk, settings);
  const model: Model = new Map();
  for (const found of groups.values()) {
    expect(found.corrupt).toBeUndefined();
    const { hardState, entries } = found;
    model.set(found.group, { hardState, start: found.snapshotMeta?.index ?? 0, entries });
  }
  expect(corrupt).toBeUndefined();
  return { log, model };
}

const printed = (model: Model) =>
  JSON.stringify([...model].sort((a, b) => a[0] - b[0]).map(([k, g]) => [k, g.hardState, g.start, g.entries]));

/** Runs appends against a disk whose operations complete at random moments, with crashes, and checks each recovery. */
async function run(seed: number, steps: number): Promise<{ segmentsMax: number; crashes: number }> {
  const random = seededRandom(seed);
  let manual = false;
  let operations: (() => void)[] = [];
  let disk = new MemoryDisk({ schedule: (done) => (manual ? operations.push(done) : queueMicrotask(done)) });
  let { log, model } = await recovered(disk);
  const result = { segmentsMax: 0, crashes: 0 };
  let states: Model[] = [model];
  let acknowledged = 0;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  manual = true;
  for (let step = 0; step < steps; step++) {
    const dice = random.unit();
    if (dice < 0.45) {
      const batch: LogWrite[] = [];
      let next = states.at(-1)!;
      for (let i = 0; i <= random.unit() * 2; i++) {
        const write = randomWrite(next, random);
        batch.push(write);
        next = applyToModel(next, [write]);
      }
      const position = states.push(next) - 1;
      void log.append(batch).then(() => {
        expect(position).toBe(acknowledged + 1);
        acknowledged = position;
      });
    } else if (dice < 0.97) {
      operations.splice(Math.floor(random.unit() * operations.length), 1)[0]?.();
      await turn();
    } else {
      result.segmentsMax = Math.max(result.segmentsMax, disk.files.size);
      disk = disk.crash(random);
      operations = [];
      manual = false;
      ({ log, model } = await recovered(disk));
      const candidates = states.slice(acknowledged).map(printed);
      expect(candidates, `seed ${seed}`).toContain(printed(model));
      states = [model];
      acknowledged = 0;
      result.crashes++;
      await turn();
      manual = true;
    }
  }
  return result;
}

test("after any crash the log holds what was acknowledged, perhaps followed by whole later appends", async () => {
  let crashes = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
      crashes += (await run(seed, 250)).crashes;
    }),
    { numRuns: 150 },
  );
  expect(crashes).toBeGreaterThan(300);
});

test("reclamation bounds the number of segments over a long life", async () => {
  const { segmentsMax } = await run(4711, 6000);

  expect(segmentsMax).toBeLessThan(12);
});
