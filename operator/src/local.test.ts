import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callSupervisor } from "./backends/local/control.ts";
import { Folder } from "./backends/local/folder.ts";
import { startTimeOf } from "./backends/local/process-info.ts";
import { federationOf } from "./federation-name.ts";
import { LocalRuntime } from "./local.ts";

const testing = resolve(import.meta.dirname, "backends/local/testing");
const example = (name: string) => {
  const path = resolve(import.meta.dirname, "../../examples", name);
  return { name, text: readFileSync(path, "utf8") };
};
const zone = (name: string, spec: string) => ({
  name: `${name}.yaml`,
  text: `apiVersion: federation.nexus.io/v1alpha1\nkind: ConsensusZone\nmetadata: {name: ${name}}\nspec: ${spec}\n`,
});

let root: string;
let runtimes: LocalRuntime[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "nexus-local-"));
  runtimes = [];
});
afterEach(async () => {
  await Promise.all(runtimes.map((runtime) => runtime.stop()));
  rmSync(root, { recursive: true, force: true });
});

async function open(more: { detached?: boolean; clock?: Clock } = {}): Promise<LocalRuntime> {
  const settings = {
    folder: join(root, "default"),
    federation: "default",
    detached: more.detached ?? false,
    dataProgram: join(testing, "fake-box.ts"),
    witnessProgram: join(testing, "fake-witness.mjs"),
  };
  const runtime = await LocalRuntime.open(settings, { clock: more.clock ?? systemClock, random: systemRandom });
  runtimes.push(runtime);
  return runtime;
}
const settled = async (runtime: LocalRuntime) => {
  const status = await runtime.settle(30_000);
  expect(status, JSON.stringify(status.problems)).toMatchObject({ settled: true });
  return status;
};
const mode = (path: string) => statSync(path).mode & 0o777;

test("up starts the boxes of a file, installs its zone, and says where clients go", async () => {
  const runtime = await open();

  expect(await runtime.start([example("quickstart.yaml")])).toMatchObject({
    refused: [],
    faults: [],
    taken: expect.arrayContaining(["Box/nexus-1"]),
  });
  const status = await settled(runtime);

  expect(status.boxes.map((box) => [box.name, box.state, box.running])).toEqual([
    ["nexus-1", "ready", true],
    ["nexus-2", "empty", true],
    ["witness-1", "running", true],
  ]);
  expect(status.zones).toMatchObject([{ name: "root", path: "/**", mode: "strong_ha", ready: true }]);
  expect(status.groups.map((group) => [group.zone, group.mode])).toEqual([
    ["system", "PAIR"],
    ["root", "PAIR"],
  ]);
  const context = JSON.parse(readFileSync(runtime.folder.context, "utf8"));
  expect(context.endpoints).toEqual(status.boxes.slice(0, 2).map((box) => box.grpc));
  expect(readFileSync(runtime.folder.tokens, "utf8")).not.toContain(context.token);
  for (const path of [runtime.folder.context, runtime.folder.tokens, join(runtime.folder.authority, "ca.key")])
    expect(mode(path), path).toBe(0o600);
});

test("apply changes what runs; a faulty file changes nothing; faults between objects are reported and the rest applies", async () => {
  const runtime = await open();
  await runtime.start([example("quickstart.yaml")]);
  await settled(runtime);

  const refused = await runtime.apply([zone("root", "{pathPattern: /other/**, mode: strong_ha, raftGroup: main}")]);
  expect(refused.refused).toMatchObject([{ file: "root.yaml", line: 4, field: "spec.pathPattern" }]);

  const outcome = await runtime.apply([
    zone("root", "{pathPattern: /**, mode: strong, authorityBox: nexus-1}"),
    zone("lost", "{pathPattern: /lost/**, mode: strong, authorityBox: nobody}"),
  ]);
  const place = { file: "lost.yaml", line: 4, field: "spec.authorityBox" };
  expect(outcome).toMatchObject({
    refused: [],
    faults: [{ object: "ConsensusZone/lost", reason: "BoxMissing", ...place }],
  });
  const other = await runtime.apply([zone("root", "{pathPattern: /**, mode: strong, authorityBox: nexus-1}")]);
  expect(other.faults).toMatchObject([{ object: "ConsensusZone/lost", old: true }]);
  const status = await settled(runtime);
  expect(status.zones).toMatchObject([
    { name: "root", mode: "strong", ready: true },
    { name: "lost", mode: "", ready: false, reason: "BoxMissing" },
  ]);

  await runtime.delete([zone("root", "{pathPattern: /**, mode: strong, authorityBox: nexus-1}")]);
  expect((await settled(runtime)).zones.find((row) => row.name === "root")).toMatchObject({
    ready: false,
    reason: "Retired",
    mode: "",
  });
});

test("nothing is settled before every box knows the rules in force", async () => {
  const runtime = await open();
  const deaf = join(runtime.folder.box("nexus-2"), "deaf");
  mkdirSync(runtime.folder.box("nexus-2"), { recursive: true });
  writeFileSync(deaf, "");
  await runtime.start([example("quickstart.yaml")]);

  await expect.poll(() => runtime.status().zones[0]?.ready, { timeout: 15_000 }).toBe(true);
  expect((await runtime.settle(1_000)).settled).toBe(false);
  rmSync(deaf);
  await settled(runtime);
});

test("deeds that are refused at once do not make the rounds follow each other without a pause", async () => {
  let pauses = 0;
  const clock: Clock = {
    ...systemClock,
    after(delayMs, fn) {
      if (delayMs === 100) pauses++;
      return systemClock.after(delayMs, fn);
    },
  };
  const runtime = await open({ clock });
  await runtime.start([example("quickstart.yaml")]);
  await settled(runtime);

  await runtime.apply([zone("refused", "{pathPattern: /refused/**, mode: strong, authorityBox: nexus-1}")]);
  const before = pauses;
  const status = await runtime.settle(2_000);

  expect(status.problems).toMatchObject([{ message: expect.stringContaining("no log can be made") }]);
  expect(pauses - before).toBeGreaterThan(5);
  expect(pauses - before).toBeLessThanOrEqual(21);
});

test("a killed box comes back as itself", async () => {
  const runtime = await open();
  await runtime.start([example("quickstart.yaml")]);
  const before = (await settled(runtime)).boxes[0]!;

  process.kill(before.pid, "SIGKILL");
  await expect
    .poll(() => runtime.status().boxes[0], { timeout: 15_000 })
    .toMatchObject({ running: true, restarts: 1, state: "ready", incarnation: before.incarnation });
});

test("the socket answers status, apply and down, and a second up is refused", async () => {
  const runtime = await open();
  const folder = new Folder(join(root, "default"));
  await runtime.start([example("mount.yaml")]);

  await expect(open()).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  const status = await callSupervisor(folder, { verb: "settle", timeoutMs: 30_000 });
  expect(status.faults).toMatchObject([{ object: "Mount/models-for-agents", reason: "NotBuiltYet" }]);
  expect(await callSupervisor(folder, { verb: "apply", files: [{ name: "x", text: "a: b" }] })).toMatchObject({
    refused: [{ field: "apiVersion" }],
  });
  const pids = status.boxes.map((box) => box.pid);

  const goneWhenFinished = runtime.finished().then(() => !existsSync(folder.root));
  await callSupervisor(folder, { verb: "down", deleteData: true });

  expect(await goneWhenFinished).toBe(true);
  expect(pids.map(startTimeOf)).toEqual(pids.map(() => undefined));
  await expect(callSupervisor(folder, { verb: "status" })).rejects.toMatchObject({ code: "ZONE_UNAVAILABLE" });
});

test("a restarted supervisor knows what was declared and goes on with it", async () => {
  const first = await open();
  await first.start([example("quickstart.yaml")]);
  const before = await settled(first);
  await first.stop();

  const second = await open();
  await second.start([]);
  const after = await settled(second);

  expect(after.boxes.map((box) => [box.name, box.incarnation, box.grpc])).toEqual(
    before.boxes.map((box) => [box.name, box.incarnation, box.grpc]),
  );
  expect(after.epoch).toBe(before.epoch);
});

test("data that is gone is never replaced by a new, empty federation", async () => {
  const first = await open();
  await first.start([example("quickstart.yaml")]);
  await settled(first);
  await first.stop();
  for (const box of ["nexus-1", "nexus-2"]) rmSync(first.folder.box(box), { recursive: true });

  const second = await open();
  await second.start([]);

  await expect
    .poll(() => second.status().faults, { timeout: 15_000 })
    .toMatchObject([{ object: "Federation/federation", reason: "DataLost" }]);
});

test("the federation's name comes from its Federation resource", () => {
  expect(federationOf([example("acme.yaml")])).toBe("acme");
  expect(federationOf([example("quickstart.yaml")])).toBe("default");
});
