// What clients of real processes saw, as JSON lines: one invocation and at most one completion a call. A call without a
// completion, or with an unknown one, may have been executed at any time since.
import { appendFileSync, readFileSync } from "node:fs";

export type Outcome = "ok" | "failed" | "none" | "unknown";
export type RegisterKind = "read" | "write" | "create" | "cas" | "delete";
/** What a path is to the checkers; see models.ts. */
export type Model = "register" | "list" | "counter" | "semaphore";
export type Kind = RegisterKind | "append" | "increment" | "acquire" | "release" | "expire";

export interface Invocation {
  event: "invoke";
  id: number;
  client: number;
  /** Default: register. */
  model?: Model;
  kind: Kind;
  path: string;
  /** Register: etag in hex of what is written; list: the item; counter: the new number; semaphore: the lock's id. */
  value: string;
  /** cas: the etag that was expected. */
  expected: string;
  /** acquire: holders that the semaphore takes. */
  slots?: number;
  atMs: number;
}
export interface Completion {
  event: "complete";
  id: number;
  outcome: Outcome;
  /** Refusal, empty when there was none. */
  code: string;
  /** What a read found: an etag in hex, the items with commas between, a number; empty when there was no file. */
  value: string;
  copies: number;
  degraded: boolean;
  atMs: number;
}
export type Line = Invocation | Completion;

export class History {
  readonly lines: Line[] = [];
  #nextId = 1;

  invoke(call: Omit<Invocation, "event" | "id" | "atMs">): number {
    const id = this.#nextId++;
    this.lines.push({ event: "invoke", id, ...call, atMs: performance.now() });
    return id;
  }

  complete(id: number, how: Partial<Omit<Completion, "event" | "id" | "atMs">> & { outcome: Outcome }): void {
    const empty = { code: "", value: "", copies: 0, degraded: false };
    this.lines.push({ event: "complete", id, ...empty, ...how, atMs: performance.now() });
  }

  write(file: string): void {
    appendFileSync(file, this.lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
}

export function readHistory(file: string): Line[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}
