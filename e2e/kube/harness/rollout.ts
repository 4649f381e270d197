// What the pods of a federation went through, from the API server's own events: no moment between two looks is missed.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Federation } from "./operator.ts";

const path =
  '{.metadata.name} {.metadata.uid} {.metadata.deletionTimestamp}{"-"} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}';

export class Rollout {
  /** Boxes in the order in which another pod took the place of theirs. */
  readonly replaced: string[] = [];
  /** Fewest pods of the watched boxes that were ready at once. */
  readyMin = Number.POSITIVE_INFINITY;
  readonly #child: ChildProcess;
  readonly #pods = new Map<string, { uid: string; ready: boolean }>();

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Watches the pods of those boxes, all of which are ready. */
  static async watch(federation: Federation, boxes: readonly string[]): Promise<Rollout> {
    const { kubectl, kubeconfig } = federation.cluster.facts;
    const flags = [
      "--kubeconfig",
      kubeconfig,
      "-n",
      federation.namespace,
      "get",
      "pods",
      "-w",
      "-o",
      `jsonpath=${path}`,
    ];
    const child = spawn(kubectl, flags, { stdio: ["ignore", "pipe", "inherit"] });
    const rollout = new Rollout(child);
    await new Promise<void>((resolve, reject) => {
      child.on("exit", (code) => reject(new Error(`the watch of pods ended with ${code}`)));
      createInterface({ input: child.stdout! }).on("line", (line) => {
        rollout.#event(line, boxes);
        if (rollout.#pods.size === boxes.length) resolve();
      });
    });
    return rollout;
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }

  #event(line: string, boxes: readonly string[]): void {
    const [name = "", uid = "", deleted = "", is] = line.split(" ");
    const box = name.replace(/-0$/, "");
    if (!boxes.includes(box)) return;
    const before = this.#pods.get(box);
    if (before !== undefined && before.uid !== uid) this.replaced.push(box);
    this.#pods.set(box, { uid, ready: is === "True" && deleted === "-" });
    if (this.#pods.size < boxes.length) return;
    const ready = [...this.#pods.values()].filter((pod) => pod.ready).length;
    this.readyMin = Math.min(this.readyMin, ready);
  }
}
