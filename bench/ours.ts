// The product under measurement: two data boxes and a witness, started by `nexus up --detach` in a folder of their own.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Measured, measure, run, sleep } from "./processes.ts";

const root = resolve(import.meta.dirname, "..");
const nexus = join(root, "nexus");
const federation = "bench";
const startMs = 60_000;

export interface OursLoad {
  clients: number;
  seconds: number;
  rate?: number;
  /** Zones that the load is spread over; 0: the one that the federation has. */
  groups?: number;
}

export class Ours {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** A fresh federation under `folder`. Each data box is run with `nodeFlags`. */
  static async start(folder: string, nodeFlags = ""): Promise<Ours> {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "federation.yaml");
    writeFileSync(file, readFileSync(join(root, "examples/quickstart.yaml"), "utf8"));
    const dir = join(folder, federation);
    const env: Record<string, string> = nodeFlags === "" ? {} : { NODE_OPTIONS: nodeFlags };
    const ours = new Ours(dir);
    try {
      await run({ command: nexus, args: ["--dir", dir, "up", "--detach", "-f", file, "--wait", "60s"], env });
      await ours.#servesWrites();
    } catch (error) {
      await ours.stop();
      throw error;
    }
    return ours;
  }

  /** A federation that runs already. */
  static at(folder: string): Ours {
    return new Ours(folder);
  }

  async #servesWrites(): Promise<void> {
    const end = performance.now() + startMs;
    for (;;) {
      try {
        await this.load("put", { clients: 1, seconds: 0.1 });
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
        await sleep(200);
      }
    }
  }

  load(mode: string, load: OursLoad): Promise<Measured> {
    const args = [join(import.meta.dirname, "client.ts"), "--dir", this.folder, "--mode", mode];
    args.push("--clients", String(load.clients), "--seconds", String(load.seconds), "--rate", String(load.rate ?? 0));
    args.push("--groups", String(load.groups ?? 0));
    return measure({ command: process.execPath, args });
  }

  /** Adds the resources of a YAML text and returns when they are ready. */
  async apply(yaml: string, waitSeconds = 300): Promise<void> {
    const file = join(this.folder, "..", "more.yaml");
    writeFileSync(file, yaml);
    await run({ command: nexus, args: ["--dir", this.folder, "apply", "-f", file, "--wait", `${waitSeconds}s`] });
  }

  async stop(): Promise<void> {
    await run({ command: nexus, args: ["--dir", this.folder, "down"] });
  }

  /** Process ids of the running boxes by name. */
  pids(): Map<string, number> {
    const names = ["nexus-1", "nexus-2", "witness-1"];
    return new Map(names.map((name) => [name, this.#pid(name)]));
  }

  #pid(name: string): number {
    return (JSON.parse(readFileSync(join(this.folder, "run", `${name}.json`), "utf8")) as { pid: number }).pid;
  }
}
