// What happens to machines and is no textbook fault: packets that are lost one in two, a peer far away, a disk put back from
// an old backup, a file that is gone, no descriptors left, a port that somebody else took, a supervisor that is killed.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Federation } from "../../harness/federation.ts";
import { Network } from "../../harness/network.ts";
import { Proxies } from "../../harness/proxies.ts";
import { until } from "../../harness/run.ts";
import { boxes, dataBoxes, pick } from "../scenario.ts";
import { wholeAgain } from "../world.ts";
import type { Strike } from "./strike.ts";

const isRoot = process.getuid?.() === 0;

const lossy: Strike = {
  name: "loss",
  about: "every second packet that reaches one box is lost",
  prepare: () => (isRoot ? {} : "packets are dropped by iptables, which needs root"),
  async strike({ network, random }) {
    if (!(network instanceof Network)) return "packets are dropped in network namespaces";
    const { command } = network.place(pick(random, boxes));
    const [program = "", ...before] = command;
    const rule = ["INPUT", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "DROP"];
    const iptables = (verb: string) => execFileSync(program, [...before, "iptables", verb, ...rule], { stdio: "pipe" });
    try {
      iptables("-A");
    } catch (error) {
      return `this machine drops no packets (${String((error as Error).message).trim()})`;
    }
    return async () => iptables("-D");
  },
};

/** One way, ms: with the longer one a question and its answer take more than the silence after which a peer is left alone. */
const delaysMs = [45, 90];

const far: Strike = {
  name: "far",
  about: `everything between one box and the others takes ${delaysMs.join(" or ")} ms more`,
  prepare: () => ({ proxies: true }),
  async strike({ network, random }) {
    if (!(network instanceof Proxies)) return "delays are made by proxies";
    const box = pick(random, boxes);
    const delayMs = pick(random, delaysMs);
    for (const other of boxes.filter((name) => name !== box)) {
      network.delay(box, other, delayMs);
      network.delay(other, box, delayMs);
    }
    return async () => network.heal();
  },
};

/** Its folder as it is at one moment. */
export async function copied(federation: Federation, box: string): Promise<string> {
  const copy = join(federation.root, `${box}.old`);
  rmSync(copy, { recursive: true, force: true });
  const pid = await federation.freeze(box);
  cpSync(federation.folder.box(box), copy, { recursive: true });
  federation.thaw(pid);
  return copy;
}

/** What stands in the box's folder is gone; the copy takes its place. */
export function putBack(copy: string, folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  cpSync(copy, folder, { recursive: true });
}

const oldBackup: Strike = {
  name: "old-disk",
  about: "a data box that is killed comes back with its disk as it was a while ago",
  async strike(world) {
    const { federation, random } = world;
    const box = pick(random, dataBoxes);
    const copy = await copied(federation, box);
    return async () => {
      // What only this box has would be lost by rights.
      await wholeAgain(world);
      await federation.damage(box, (folder) => putBack(copy, folder));
    };
  },
};

const goneFile: Strike = {
  name: "gone-file",
  about: "a file of a data box's log, state or chunks is gone after kill -9",
  async strike({ federation, random }) {
    await federation.damage(dataBoxes[1], (folder) => {
      const within = join(folder, pick(random, ["log", "state", "chunks"]));
      const files = readdirSync(within, { recursive: true, encoding: "utf8" })
        .map((name) => join(within, name))
        .filter((file) => statSync(file).isFile());
      if (files.length > 0) rmSync(pick(random, files));
    });
    return async () => {};
  },
};

const descriptors: Strike = {
  name: "descriptors",
  about: "a box may open no more files and connections",
  async strike({ federation, random }) {
    const { name, pid } = await federation.box(pick(random, dataBoxes));
    const usual = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1] ?? "";
    const limit = (soft: number | string) => execFileSync("prlimit", ["--pid", `${pid}`, `--nofile=${soft}:`]);
    limit(readdirSync(`/proc/${pid}/fd`).length);
    // It may have ended for it; the next process has its own limit.
    return async () => (await federation.box(name)).pid === pid && limit(usual);
  },
};

/** Takes the address as soon as it is free. */
const taker =
  "const [host, port] = process.argv.slice(1); const net = require('net');" +
  "(function take() { net.createServer().on('error', () => setTimeout(take, 1)).listen({ host, port: Number(port) }, () => console.log('has it')); })();";

const takenPort: Strike = {
  name: "taken-port",
  about: "another process takes the peer port of a box that was killed, and holds it for a while",
  async strike({ federation, network, random }) {
    const { name, pid } = await federation.box(pick(random, boxes));
    const place = federation.places.get(name);
    const ports = JSON.parse(readFileSync(federation.folder.ports, "utf8")) as Record<string, { peer: number }>;
    if (typeof network === "string" || place === undefined) return "ports are taken in places of their own";
    const [program = "", ...before] = place.command;
    const args = [process.execPath, "-e", taker, place.host, `${ports[name]!.peer}`];
    const thief = spawn(program, [...before, ...args], { stdio: ["ignore", "pipe", "ignore"] });
    const has = once(thief.stdout, "data");
    process.kill(pid, "SIGKILL");
    await has;
    return async () => {
      thief.kill("SIGKILL");
      await federation.restarted(name, pid);
    };
  },
};

export const supervisorMsMax = 120_000;

const supervisor: Strike = {
  name: "supervisor",
  about: "kill -9 of the supervisor, and another one that adopts its boxes",
  async strike({ federation }) {
    const { supervisor: pid } = await federation.status();
    process.kill(pid, "SIGKILL");
    const again = async () => (await federation.start()).code === 0;
    return async () => {
      await until("a new supervisor runs the federation", again, supervisorMsMax);
      await federation.settled(supervisorMsMax);
    };
  },
};

/** Leaves a new copy less room than it needs; then room comes. */
const wipedWithoutRoom: Strike = {
  name: "no-room",
  about: "a data box lost its data and its disk has no room for a new copy; room comes later",
  prepare: () =>
    isRoot ? { before: (federation) => federation.smallDisk(dataBoxes[1], 640) } : "a small disk needs root",
  async strike({ federation, random }) {
    const box = dataBoxes[1];
    const ballast = join(federation.folder.box(box), "ballast");
    await federation.damage(box, (folder) => {
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
      execFileSync("fallocate", ["-l", `${pick(random, [380, 470, 560])}M`, ballast]);
    });
    return async () => rmSync(ballast);
  },
};

export const oddStrikes: Strike[] = [
  lossy,
  far,
  oldBackup,
  goneFile,
  descriptors,
  takenPort,
  supervisor,
  wipedWithoutRoom,
];
