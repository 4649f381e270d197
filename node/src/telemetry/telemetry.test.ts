import { createHistogram } from "node:perf_hooks";
import { describe, expect, test } from "vitest";
import type { Clock } from "../base/clock.ts";
import { stillClock } from "../base/testing/still-clock.ts";
import { createLogger, roomLog } from "./log.ts";
import { LoopDelay } from "./loop-delay.ts";
import type { MetricDefinition } from "./metric-definition.ts";
import { createMetrics, metricList } from "./metrics.ts";

const definitions: MetricDefinition[] = Object.values(metricList);

describe("metrics", () => {
  test("every name is nexus_snake_case and given once", () => {
    const names = definitions.map(({ name }) => name);

    for (const name of names) expect(name).toMatch(/^nexus_[a-z]+(_[a-z]+)*$/);
    expect(new Set(names).size).toBe(names.length);
  });

  test("seconds and bytes are named in full at the end, counters of ours end in _total or the seeds' name", () => {
    const seeds = /election_count$/;
    for (const { name, unit, kind } of definitions) {
      if (unit === "seconds") expect(name).toMatch(/_seconds$/);
      if (unit === "bytes") expect(name).toMatch(/_bytes(_total)?$/);
      if (kind === "counter") expect(seeds.test(name) || name.endsWith("_total"), name).toBe(true);
    }
  });

  test("each help is a sentence", () => {
    for (const { help } of definitions) expect(help).toMatch(/^[A-Z0-9].*\.$/);
  });

  test("labels that grow with callers' input are not used", () => {
    const labels = new Set(definitions.flatMap((definition) => definition.labels));

    for (const label of ["path", "client", "token", "address", "user"]) expect(labels).not.toContain(label);
  });

  test("the page holds what was counted", async () => {
    const metrics = createMetrics({ processMetrics: false });

    metrics.refused.of("NO_LEADER").inc();
    metrics.raftTerm.set({ zone: "docs" }, 4);
    metrics.fsync.of().observe(0.0003);
    metrics.fsync.of().observe(9);

    const page = await metrics.registry.metrics();
    expect(page).toContain('nexus_refused_total{code="NO_LEADER"} 1');
    expect(page).toContain('nexus_raft_term{zone="docs"} 4');
    expect(page).toContain('nexus_log_fsync_seconds_bucket{le="0.0005"} 1');
    expect(page).toContain('nexus_log_fsync_seconds_bucket{le="+Inf"} 2');
    expect(page).toContain("nexus_log_fsync_seconds_count 2");
  });

  test("two boxes in one process do not share a registry", () => {
    expect(() => [createMetrics({ processMetrics: false }), createMetrics({ processMetrics: false })]).not.toThrow();
  });
});

describe("the log", () => {
  test("a line is one JSON object with box, room, a constant message and fields, without secrets", () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const root = createLogger({ level: "info", fields: { box: "a" }, destination });

    roomLog(root, "transport").warn({ peer: "b", token: "geheim" }, "peer is not reachable");
    roomLog(root, "transport").debug("not shown");

    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      ...{ level: "warn", box: "a", room: "transport", peer: "b", token: "[secret]", msg: "peer is not reachable" },
    });
  });
});

describe("the delay of the event loop", () => {
  function bench() {
    const timers: (() => void)[] = [];
    const clock: Clock = {
      ...stillClock,
      after: (_delayMs, fn) => {
        timers.push(fn);
        return { cancel: () => timers.splice(timers.indexOf(fn), 1) };
      },
    };
    const histogram = Object.assign(createHistogram(), { enable: () => true, disable: () => true });
    const late = (...delaysMs: number[]) => {
      for (const delayMs of delaysMs) histogram.record((10 + delayMs) * 1e6);
    };
    return { delay: new LoopDelay(clock, histogram), late, pass: () => timers.shift()?.(), timers };
  }

  test("is read per window, without the sampling period", () => {
    const { delay, late, pass } = bench();
    delay.start();

    late(0, 0, 200);
    pass();

    const { p50Ms, p99Ms, maxMs } = delay.reading;
    expect([p50Ms, p99Ms, maxMs].map(Math.round)).toEqual([0, 200, 200]);
  });

  test("what time-outs add is the second longest, at once, and is forgotten after five windows", () => {
    const { delay, late, pass } = bench();
    delay.start();

    late(0, 700, 500, 1, 2);
    expect(Math.round(delay.recentLateMs)).toBe(500);
    for (let i = 0; i < 5; i++) pass();
    expect(Math.round(delay.recentLateMs)).toBe(500);
    pass();

    expect(delay.recentLateMs).toBe(0);
  });

  test("a process that was stopped once is not busy for it; two long delays, also of two windows, are", () => {
    const { delay, late, pass } = bench();
    delay.start();
    for (let i = 0; i < 90; i++) late(i % 3);
    late(1500);
    expect(delay.recentLateMs).toBeLessThan(3);
    pass();
    expect(delay.recentLateMs).toBeLessThan(3);

    late(300);

    expect(Math.round(delay.recentLateMs)).toBe(300);
  });

  test("stops its timer", () => {
    const { delay, timers } = bench();
    delay.start();

    delay.stop();

    expect(timers).toHaveLength(0);
  });
});
