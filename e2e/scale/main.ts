// `make e2e-scale`: the operator beside a real API server and etcd without nodes, with 1,000 Boxes, 300 RaftGroups and
// 300 zones in 25 namespaces. Prints what a platform engineer asks: time of the first full round, memory, processor,
// requests a minute while nothing happens, and how long a changed spec takes until its StatefulSet says so. As JSON on
// the last line. The operator runs as its image has it. PROFILE=folder: a profile of its processor time is left there.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { bundle } from "../../images/bundle.ts";
import { nodeOptions } from "../../operator/src/backends/local/node-flags.ts";
import { readFlags } from "../../test/flags.ts";
import { startControlPlane } from "../cluster/control-plane.ts";
import { must, until } from "../cluster/programs.ts";
import { memoryBytes, processorMs } from "../harness/process-figures.ts";
import { pause } from "../harness/run.ts";

readFlags({
  command: "node e2e/scale/main.ts",
  about:
    "The operator with 1,000 boxes, 300 groups and zones on a real API server: memory, processor, requests; the last line\n" +
    "is JSON. Five minutes.",
  flags: {},
  more: "Environment: PROFILE is a folder for a profile of the operator's processor time.",
});
const root = resolve(import.meta.dirname, "../..");
const apiVersion = "federation.nexus.io/v1alpha1";
const namespaces = Array.from({ length: 25 }, (_, index) => `scale-${index + 1}`);
const [boxesEach, groupsEach] = [40, 12];
const changes = 100;
const restMs = 60_000;
/** The operator's own limit and a margin. */
const stopMs = 20_000;
const port = 18_080;

const dir = mkdtempSync(join(tmpdir(), "nexus-scale-"));
const plane = await startControlPlane({
  dir,
  controllerManager: false,
  // Two or three Services a box.
  apiserverFlags: ["--service-cluster-ip-range=10.96.0.0/16"],
});
const kubectl = (args: string[], input?: string) =>
  must([plane.binaries.kubectl, "--kubeconfig", plane.kubeconfig, ...args], { input });
const say = (what: string) => console.error(what);

function resourcesOf(namespace: string): object[] {
  const of = (kind: string, name: string, spec: object) => ({ apiVersion, kind, metadata: { name, namespace }, spec });
  const box = (index: number) => `box-${(index % boxesEach) + 1}`;
  const groups = Array.from({ length: groupsEach }, (_, index) => index);
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    ...Array.from({ length: boxesEach }, (_, index) => of("Box", box(index), { region: "local" })),
    ...groups.map((index) =>
      of("RaftGroup", `group-${index + 1}`, {
        members: [0, 1, 2].map((at) => ({ box: box(index * 3 + at) })),
        ...(index === 0 ? { system: true, bootstrapBox: box(0) } : {}),
      }),
    ),
    ...groups.map((index) =>
      of("ConsensusZone", `zone-${index + 1}`, {
        pathPattern: `/z${index + 1}/**`,
        mode: "strong_ha",
        raftGroup: `group-${index + 1}`,
      }),
    ),
  ];
}

/** Of the operator's own metrics. */
async function calls(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split("\n").filter((line) => /^rest_client_requests_total/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

function processor(pid: number): { cpuMs: number; residentBytes: number } {
  return { cpuMs: processorMs(pid), residentBytes: memoryBytes(pid) };
}

async function count(kind: string): Promise<number> {
  return (await kubectl(["get", kind, "-A", "-o", "name"])).split("\n").filter(Boolean).length;
}

/** Time from a changed Box to the changed StatefulSet, one after the other, ms. */
async function reactions(): Promise<number[]> {
  const times: number[] = [];
  const watch = spawn(plane.binaries.kubectl, [
    ...["--kubeconfig", plane.kubeconfig, "get", "statefulsets", "-A", "--watch", "-o"],
    'jsonpath={.metadata.namespace}/{.metadata.name} {.spec.template.metadata.annotations.turn}{"\\n"}',
  ]);
  const seen = new Map<string, number>();
  watch.stdout.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) if (!seen.has(line)) seen.set(line, performance.now());
  });
  // What it prints of the present says that it watches.
  await until("the watch", async () => seen.size > 0, { withinMs: 60_000 });
  for (let turn = 1; turn <= changes; turn++) {
    const namespace = namespaces[turn % namespaces.length]!;
    const name = `box-${(turn % boxesEach) + 1}`;
    const spec = { podTemplate: { metadata: { annotations: { turn: `t${turn}` } } } };
    await kubectl(["-n", namespace, "patch", "box", name, "--type=merge", "-p", JSON.stringify({ spec })]);
    // kubectl answers after the server has: what it needs to end is not the operator's.
    const changedMs = performance.now();
    const key = `${namespace}/${name} t${turn}`;
    await until(`the StatefulSet of ${key}`, async () => seen.has(key), { withinMs: 60_000, everyMs: 5 });
    times.push(Math.max(0, seen.get(key)! - changedMs));
  }
  watch.kill();
  return times.sort((a, b) => a - b);
}

/** A profile is written when it ends by itself. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMs);
  const exit = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  await exit;
  clearTimeout(timer);
}

let operator: ChildProcess | undefined;
const stop = async (code: number) => {
  if (operator !== undefined) await ended(operator);
  await plane.stop();
  rmSync(dir, { recursive: true, force: true });
  process.exit(code);
};
process.on("SIGINT", () => void stop(130));

try {
  await kubectl(["apply", "--server-side", "-f", resolve(root, "crds")]);
  await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  for (const namespace of namespaces) {
    const list = { apiVersion: "v1", kind: "List", items: resourcesOf(namespace) };
    await kubectl(["create", "-f", "-"], JSON.stringify(list));
  }
  say(`${namespaces.length * boxesEach} boxes, ${namespaces.length * groupsEach} groups and zones declared`);
  const began = performance.now();
  const flags = ["--kubeconfig", plane.kubeconfig, "--node-image=nexus-node:1", "--witness-image=nexus-witness:1"];
  const [program] = await bundle(["operator"]);
  const profile = process.env["PROFILE"];
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  operator = spawn(
    process.execPath,
    [
      ...profiling,
      ...nodeOptions.operator.flags,
      program!,
      ...flags,
      "--port=0",
      `--metrics-port=${port}`,
      "--log=warn",
    ],
    {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...nodeOptions.operator.environment },
    },
  );
  const all = namespaces.length * boxesEach;
  await until("every StatefulSet", async () => (await count("statefulsets")) === all, {
    withinMs: 1_200_000,
    everyMs: 2_000,
  });
  const firstRoundSeconds = (performance.now() - began) / 1000;
  say(`all objects made after ${firstRoundSeconds.toFixed(0)} s`);
  // Rounds of a federation that starts follow each other for half a minute.
  await pause(restMs);
  const before = { calls: await calls(), ...processor(operator.pid!) };
  await pause(restMs);
  const after = { calls: await calls(), ...processor(operator.pid!) };
  const times = await reactions();
  const figures = {
    boxes: all,
    firstRoundSeconds: Math.round(firstRoundSeconds),
    residentMiB: Math.round(after.residentBytes / 2 ** 20),
    processorPercentOfACore: Number((((after.cpuMs - before.cpuMs) / restMs) * 100).toFixed(1)),
    requestsPerIdleMinute: after.calls - before.calls,
    changedSpecMs: { p50: Math.round(times[Math.floor(times.length / 2)]!), p99: Math.round(times.at(-2)!) },
  };
  console.log(JSON.stringify(figures));
  await stop(0);
} catch (error) {
  console.error(error);
  await stop(1);
}
