import type { Command } from "@nexus-federation/proto/command.ts";
import type { LockGrant } from "@nexus-federation/proto/records.ts";
import type { Applied } from "../machine/api.ts";
import { require } from "./violation.ts";

interface Held {
  counter: number;
  ttlMs: number;
  /** When the grant, or its last extension, was first applied anywhere. */
  sinceMs: number;
}

interface LockApply {
  index: number;
  nowMs: number;
  command: Command;
  applied: Applied;
  /** The reply tells of an earlier execution. */
  repeated: boolean;
}

/** Holders that a lock at this path may have; the workload names semaphores so. */
export function slotsOf(path: string): number {
  return Number(/sem(\d+)/.exec(path)?.[1] ?? 1);
}

/** The locks of a log as its committed commands make them, by an obvious model. */
export class LockModel {
  readonly #log: number;
  readonly #holders = new Map<string, Map<string, Held>>();
  #fence = 0;

  constructor(log: number) {
    this.#log = log;
  }

  applied({ index, nowMs, command, applied, repeated }: LockApply): void {
    if (!repeated) this.#checkFence(index, command, applied);
    for (const effect of applied.effects) {
      switch (effect.kind) {
        case "lock-granted":
          this.#granted(index, effect.path, effect.grant, nowMs);
          break;
        case "lock-extended":
          this.#hold(effect.path, effect.grant, nowMs);
          break;
        case "lock-ended":
          this.#ended({ index, nowMs, command }, effect.path, effect.lockId);
          break;
        default:
          break;
      }
    }
  }

  #hold(path: string, { lockId, counter, ttlMs }: LockGrant, nowMs: number): Map<string, Held> {
    const holders = this.#holders.get(path) ?? new Map<string, Held>();
    this.#holders.set(path, holders);
    holders.set(hex(lockId), { counter, ttlMs, sinceMs: nowMs });
    return holders;
  }

  #granted(index: number, path: string, grant: LockGrant, nowMs: number): void {
    const at = `log ${this.#log} index ${index} lock ${path}`;
    require(grant.counter > this.#fence, () => `${at}: fence ${grant.counter} was given before (${this.#fence})`);
    this.#fence = grant.counter;
    const holders = this.#hold(path, grant, nowMs);
    require(holders.size <= slotsOf(path), () => `${at}: held ${holders.size} times, ${slotsOf(path)} are allowed`);
  }

  #ended(
    { index, nowMs, command }: Pick<LockApply, "index" | "nowMs" | "command">,
    path: string,
    id: Uint8Array,
  ): void {
    const holders = this.#holders.get(path);
    const held = holders?.get(hex(id));
    holders?.delete(hex(id));
    if (held === undefined || command.operation?.op?.$case !== "expire") return;
    const heldMs = nowMs - held.sinceMs;
    require(heldMs >= held.ttlMs, () => {
      return `log ${this.#log} index ${index} lock ${path}: expired after ${heldMs} ms, granted for ${held.ttlMs}`;
    });
  }

  /** A fenced write is done exactly when its fence is among the holders. */
  #checkFence(index: number, { operation }: Command, { reply }: Applied): void {
    const op = operation?.op;
    const condition = op?.$case === "write" ? op.value.condition : undefined;
    if (op?.$case !== "write" || condition === undefined || condition.fenceCounter === 0) return;
    const path = condition.lockPath === "" ? op.value.path : condition.lockPath;
    const holders = [...(this.#holders.get(path)?.values() ?? [])];
    const holds = holders.some((held) => held.counter === condition.fenceCounter);
    const code = reply.result?.$case === "failure" ? reply.result.value.code : "";
    const at = `log ${this.#log} index ${index}: a write under fence ${condition.fenceCounter} of ${path}`;
    require(code !== "" || holds, () => `${at} was done, but the holders are ${holders.map((held) => held.counter)}`);
    require(code !== "FENCED" || !holds, () => `${at} was refused although it holds the lock`);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
