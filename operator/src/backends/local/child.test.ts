import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Child, type ChildSettings, childDefaults } from "./child.ts";
import { startTimeOf } from "./process-info.ts";
import { rotate } from "./rotate.ts";

let dir: string;
const children: Child[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nexus-child-"));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop()));
  rmSync(dir, { recursive: true, force: true });
});

const quick: ChildSettings = {
  ...childDefaults,
  restart: { firstMs: 10, maxMs: 50, factor: 2 },
  pollMs: 20,
  steadyMs: 60_000,
  stopGraceMs: 300,
};
const polite =
  'console.log("up"); process.stdin.on("end", () => process.exit(0)).resume(); setInterval(() => {}, 1000);';
const deaf = 'console.log("up"); process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);';
const brief = 'console.log("up"); process.exit(3);';

function child(script: string, settings = quick, exited: () => void = () => {}): Child {
  const spec = {
    name: "x",
    command: process.execPath,
    args: ["-e", script],
    env: {},
    logFile: join(dir, "x.log"),
    processFile: join(dir, "x.json"),
  };
  const made = new Child(spec, { clock: systemClock, random: systemRandom, exited }, settings);
  children.push(made);
  made.start();
  return made;
}
const log = () => readFileSync(join(dir, "x.log"), "utf8");
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

test("a killed process is started again, and its output is kept", async () => {
  const watched = child(polite);
  await eventually(() => expect(log()).toContain("up"));
  const first = watched.view.pid;

  process.kill(first, "SIGKILL");

  await eventually(() =>
    expect(watched.view).toMatchObject({ running: true, restarts: 1, lastExit: "ended by SIGKILL" }),
  );
  expect(watched.view.pid).not.toBe(first);
});

test("how it ended is told until it runs steadily again", async () => {
  const watched = child(polite, { ...quick, steadyMs: 1 });
  await eventually(() => expect(log()).toContain("up"));

  process.kill(watched.view.pid, "SIGKILL");

  await eventually(() => expect(watched.view).toMatchObject({ running: true, restarts: 1, lastExit: "" }));
});

test("a process that ends at once is started again and again, ever later", async () => {
  const watched = child(brief);

  await eventually(() => expect(watched.view.restarts).toBeGreaterThan(2));
  expect(watched.view.lastExit).toBe("ended with code 3: up");
});

test("why a process gave up is what it said last beside its log records", async () => {
  const watched = child('console.error("the disk is gone"); console.log("{}"); process.exitCode = 1;');

  await eventually(() => expect(watched.view.lastExit).toBe("ended with code 1: the disk is gone"));
});

test("a restart replaces the process, by force when it will not end", async () => {
  const watched = child(deaf);
  await eventually(() => expect(log()).toContain("up"));
  const { pid } = watched.view;

  watched.restart();

  await eventually(() => expect(watched.view).toMatchObject({ running: true, restarts: 1 }));
  expect(watched.view.pid).not.toBe(pid);
});

test("stopping ends the process for good, by force when it will not", async () => {
  const watched = child(deaf);
  await eventually(() => expect(log()).toContain("up"));
  const { pid } = watched.view;

  await watched.stop();

  expect(startTimeOf(pid)).toBeUndefined();
  expect(watched.view).toMatchObject({ running: false, restarts: 0 });
});

/** As an earlier supervisor: it starts nothing again for a long while. */
const earlier: ChildSettings = { ...quick, detached: true, restart: { firstMs: 600_000, maxMs: 600_000, factor: 1 } };
const lasting = 'console.log("up"); setInterval(() => {}, 1000);';

test("a process left by an earlier supervisor is adopted, watched and stopped", async () => {
  const { pid } = child(lasting, earlier).view;
  await eventually(() => expect(log()).toContain("up"));

  const adopted = child(lasting);

  expect(adopted.view.pid).toBe(pid);
  await adopted.stop();
  expect(startTimeOf(pid)).toBeUndefined();
});

test("an adopted process that dies is started again", async () => {
  const { pid } = child(lasting, earlier).view;
  await eventually(() => expect(log()).toContain("up"));
  const adopted = child(polite);

  process.kill(pid, "SIGKILL");

  await eventually(() => expect(adopted.view).toMatchObject({ running: true, restarts: 1 }));
  expect(adopted.view.pid).not.toBe(pid);
});

test("a pid that another process has now is not adopted", async () => {
  writeFileSync(join(dir, "x.json"), JSON.stringify({ pid: process.pid, startTime: "0" }));

  const watched = child(polite);

  expect(watched.view.pid).not.toBe(process.pid);
});

test("a log file above its size is cut, its older part kept", () => {
  const file = join(dir, "big.log");
  writeFileSync(file, "x".repeat(100));

  rotate(file, 200);
  expect(readFileSync(file, "utf8")).toHaveLength(100);
  rotate(file, 50);

  expect(readFileSync(file, "utf8")).toBe("");
  expect(readFileSync(`${file}.1`, "utf8")).toHaveLength(100);
});
