import { hash } from "node:crypto";
import { refusalIn } from "../box/ask.ts";
import type { GroupView } from "../group/api.ts";
import { systemLog } from "../tree/system-zone.ts";
import { checkHistory, checkReceipts } from "./checks.ts";
import { Client, grantIn } from "./client.ts";
import type { DataBox } from "./data-box.ts";
import { Faults } from "./faults.ts";
import { History } from "./history.ts";
import { LockClient } from "./lock-client.ts";
import type { Plan } from "./plan.ts";
import { acquireOp, mutation, writeOp } from "./requests.ts";
import { startFounded, startNew } from "./template.ts";
import { require } from "./violation.ts";
import { Watcher } from "./watcher.ts";
import { type Heard, World } from "./world.ts";

export interface RunResult {
  seed: number;
  kind: string;
  failure: unknown;
  hash: string;
  notes: number;
  /** Virtual time that passed, ms. */
  virtualMs: number;
  calls: number;
  /** Calls that were executed. */
  done: number;
  holds: number;
  world: World;
  history: History;
}

/** Once faults stop, everything must be available again within this, ms. */
const recoveryMs = 20_000;
const lockPaths = ["/l/mutex", "/l/sem2"];
/** A quiet time in which a healthy pair must not bother its witness, ms. */
const calmMs = 600;

/** Runs one plan to its end; failures come back as a value. */
export async function run(plan: Plan, options: { verbose?: boolean } = {}): Promise<RunResult> {
  const world = new World(plan.seed, options.verbose ?? false);
  const history = new History();
  const onRejection = (error: unknown) => world.fail(error);
  process.on("unhandledRejection", onRejection);
  let failure: unknown;
  try {
    await play(world, history, plan);
  } catch (error) {
    failure = error;
  } finally {
    process.off("unhandledRejection", onRejection);
  }
  const { calls, holds } = history;
  const done = calls.filter((call) => call.outcome === "ok").length;
  const { trace, clock } = world;
  const figures = { hash: trace.hash, notes: trace.count, virtualMs: clock.now(), calls: calls.length, done };
  return { seed: plan.seed, kind: plan.kind, failure, ...figures, holds: holds.length, world, history };
}

async function play(world: World, history: History, plan: Plan): Promise<void> {
  world.hostSettings = plan.host;
  await (plan.fresh ? startNew : startFounded)(world, plan.topology);
  const faults = new Faults(world);
  const clients = clientsOf(world, history, plan);
  world.hub.faults = plan.net;
  world.clientLoss = plan.clientLoss;
  for (const client of clients) client.start();
  for (const fault of plan.faults) faults.plan(fault);
  await world.run(plan.spanMs);

  faults.heal();
  for (const client of clients) client.stopped = true;
  await world.until(
    () => clients.every((client) => client.idle),
    recoveryMs,
    () => "every client had its answer",
  );
  await world.until(
    () => faults.areStopsOver,
    recoveryMs,
    () => `boxes that were asked to stop serve again\n${describe(world)}`,
  );
  await world.until(
    () => faults.quorum.isOver,
    recoveryMs,
    () => `the lost quorum is whole again\n${describe(world)}`,
  );
  await recovered(world);
  for (const path of plan.paths)
    for (const box of plan.topology.boxes) await lastRead(world, clients[0] as Client, path, box);
  if (plan.lockClients > 0) await locksEnd(world, clients[0] as Client);
  faults.quorum.check();
  if (world.gaveUp) checkReceipts(history);
  else if (!world.lapsed) checkHistory(history);
  if (plan.calm) await calm(world);
}

function clientsOf(world: World, history: History, plan: Plan): Client[] {
  const { habits, paths: registers } = plan;
  const clients: Client[] = [];
  for (let id = 1; id <= plan.clients; id++) {
    clients.push(new Client(world, history, { id, habits, paths: registers }));
  }
  for (let id = 1; id <= plan.lockClients; id++) {
    clients.push(
      new LockClient(world, history, { id: 100 + id, habits: { ...habits, ids: 1, retry: 0.8 }, paths: lockPaths }),
    );
  }
  for (let id = 1; id <= plan.watchers; id++) {
    clients.push(new Watcher(world, history, { id: 200 + id, habits, paths: [] }));
  }
  return clients;
}

/** Whoever held a lock and went away has lost it by now, or will. */
async function locksEnd(world: World, client: Client): Promise<void> {
  const operationOf = (path: string) => acquireOp(path, { ttlMs: 50, wait: true, owner: "the end" });
  for (const path of lockPaths) {
    let held = false;
    const ask = async (): Promise<void> => {
      const { response } = await client.change(operationOf(path), 2_000);
      const refused = response && refusalIn(response)?.code;
      // Changes of mode may have left a zone in which there are no locks.
      held = refused === "CONSISTENCY" || grantIn(response) !== undefined;
      if (held) return;
      await client.pause(50);
      await ask();
    };
    ask().catch((error: unknown) => world.fail(error));
    await world.until(
      () => held,
      recoveryMs,
      () => `lock ${path} can be had again`,
    );
  }
}

/** No hand-over is under way, every zone takes a write through every box, every replica comes to the same state. */
async function recovered(world: World): Promise<void> {
  await world.until(
    () => leaderOf(world, systemLog) !== undefined && membersOf(world, systemLog).every((box) => !box.pendingMap),
    recoveryMs,
    () => `the pending map became active or was given up\n${describe(world)}`,
  );
  for (const { zone, path } of zonesOf(world)) {
    for (const { name } of world.boxes) {
      let heard: Heard | undefined;
      let last = "";
      const ask = () => {
        world.ask(name, mutation(writeOp(path, Buffer.from(name)), { timeoutMs: 2_000 }), 3_000, (answer) => {
          last = answer.response === undefined ? "silence" : (refusalIn(answer.response)?.message ?? "");
          if (last === "") heard = answer;
          else world.clock.after(100, ask);
        });
      };
      ask();
      await world.until(
        () => heard !== undefined,
        recoveryMs,
        () => `zone ${zone} takes a write through ${name} again: ${last}\n${describe(world)}`,
      );
    }
  }
  await world.until(
    () => world.boxes.every((box) => hasMap(box) && converged(world, box.host?.logs() ?? [])),
    recoveryMs,
    () => `all replicas caught up\n${describe(world)}`,
  );
  for (const log of new Set(world.boxes.flatMap((box) => box.host?.logs() ?? []))) sameStates(world, log);
}

function zonesOf(world: World): { zone: string; path: string }[] {
  const rules = world.boxes[0]?.node?.directory.map.rules ?? [];
  return rules
    .filter((rule) => rule.state === "active" && rule.pattern !== "")
    .map(({ zone, pattern }) => ({ zone, path: pattern.replace("/**", "/last") }));
}

function converged(world: World, logs: readonly number[]): boolean {
  return logs.every((log) => {
    const leader = leaderOf(world, log);
    return (
      leader !== undefined &&
      isDeclared(world, leader) &&
      membersOf(world, log).every((box) => {
        const view = box.host?.view(log);
        return view !== undefined && !view.needsReplication && view.applied === leader.commit;
      })
    );
  });
}

/** A box with a new disk is told the rules by another one. */
function hasMap(box: DataBox): boolean {
  return (box.node?.directory.map.rules.length ?? 0) > 0;
}

/** No member stands for a disk that is gone: whoever exchanged it is done with the repair. */
function isDeclared(world: World, { config }: GroupView): boolean {
  const full = config.members.filter((member) => member.role !== "witness");
  const current = full.every((member) => world.process(member.box).incarnation.equals(member.incarnation));
  return current && config.votersOutgoing.length === 0;
}

function leaderOf(world: World, log: number): GroupView | undefined {
  const views = world.boxes.flatMap((box) => box.host?.view(log) ?? []);
  return views.filter((view) => view.isLeader).toSorted((left, right) => right.term - left.term)[0];
}

/** Full members as the leader knows them. */
function membersOf(world: World, log: number): DataBox[] {
  const members = leaderOf(world, log)?.config.members ?? [];
  return members.filter((member) => member.role !== "witness").map((member) => world.box(member.box));
}

/** Replicas that applied the same entries hold the same bytes. */
function sameStates(world: World, log: number): void {
  const digests = new Map<string, string>();
  for (const box of membersOf(world, log)) {
    const view = box.host?.view(log);
    if (view === undefined) continue;
    const found = hash("sha256", box.watch.stateBytes(log, view.generation), "hex");
    digests.set(box.name, `${view.applied} ${found}`);
  }
  require(new Set(digests.values()).size <= 1, () =>
    `the states of log ${log} differ: ${JSON.stringify([...digests])}`);
}

async function lastRead(world: World, client: Client, path: string, box: string): Promise<void> {
  if (box.startsWith("w")) return;
  const call = await world.settle(client.read(path, box, { timeoutMs: 5_000 }), recoveryMs, `the last read of ${path}`);
  require(call.outcome === "ok", () =>
    `${path} cannot be read through ${box} at the end: ${call.code}\n${describe(world)}`);
}

async function calm(world: World): Promise<void> {
  await world.run(1_500);
  const paired = world.boxes.every((box) =>
    (box.host?.logs() ?? []).every((log) => box.host?.view(log)?.witnessMode !== "SOLO"),
  );
  require(paired, () => `a group stays SOLO although everything works\n${describe(world)}`);
  // A member that was removed while it was away does not know it, and asks for votes.
  if (world.boxes.some((box) => (box.host?.logs() ?? []).some((log) => !membersOf(world, log).includes(box)))) return;
  const count = () => world.witnesses.map((witness) => witness.server?.counters.requests ?? 0).join(" ");
  const before = count();
  await world.run(calmMs);
  require(count() === before, () =>
    `a witness was asked although all pairs are healthy: ${before}, then ${count()}\n${describe(world)}`);
}

export function describe(world: World): string {
  const lines: string[] = [];
  for (const box of world.boxes) {
    if (!box.up) lines.push(`${box.name}: not up`);
    for (const log of box.host?.logs() ?? []) {
      const view = box.host?.view(log);
      if (view === undefined) continue;
      const { role, term, commit, applied, witnessMode, leaderBox, needsReplication, config } = view;
      const members = config.members.map((one) => `${one.replica}=${one.box}:${one.role}`).join(" ");
      lines.push(
        `${box.name} log ${log}: ${role} of ${leaderBox || "?"} term ${term} commit ${commit} applied ${applied} ` +
          `${witnessMode}${needsReplication ? " mute" : ""} [${members}] voters ${config.voters} out ${config.votersOutgoing}`,
      );
    }
  }
  return lines.join("\n");
}
