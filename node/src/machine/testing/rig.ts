// A machine with a log of its own, for the tests of this room and the simulator's checks of it.
import {
  Command,
  type Operation,
  type Precondition,
  type Reply,
  type WriteFile,
} from "@nexus-federation/proto/command.ts";
import { fromHex, utf8 } from "../../base/bytes.ts";
import type { Applied, LogEntry } from "../api.ts";
import { Machine, type MachineOptions } from "../machine.ts";
import { MemoryStateStore } from "../memory-store.ts";
import { restore, snapshot } from "../snapshot.ts";

type Op = NonNullable<Operation["op"]>;

export interface RigCommand {
  requestId?: Uint8Array;
  requestTimeMs?: number;
}

export class Rig {
  store = new MemoryStateStore();
  machine: Machine;
  readonly options: MachineOptions;
  /** What was applied, to replay it elsewhere. */
  readonly log: LogEntry[] = [];
  timeMs = 1_000_000;
  last: Applied | undefined;

  constructor(options: Partial<MachineOptions> & { owns?: string } = {}) {
    this.options = { generation: 1, ...options };
    this.machine = new Machine(this.store, this.options);
    const pattern = options.owns ?? "/**";
    this.run({ $case: "own", value: { pattern, exclusions: [], epoch: 1 } });
  }

  /** Proposes, commits, applies and drains one command. */
  run(op: Op, command: RigCommand = {}): Reply {
    const data = Command.encode({
      requestId: Buffer.from(command.requestId ?? []),
      requestTimeMs: command.requestTimeMs ?? this.timeMs,
      principal: "tester",
      logTimeMs: this.timeMs,
      operation: { op },
    }).finish();
    return this.apply(data).reply;
  }

  apply(data: Uint8Array): Applied {
    const entry = { index: this.machine.appliedIndex + 1, term: 1, data };
    this.log.push(entry);
    this.last = this.machine.apply(entry);
    this.machine.flush();
    return this.last;
  }

  /** Time passes as it does: with commands. */
  age(ms: number): void {
    const endMs = this.timeMs + ms;
    while (this.timeMs < endMs) {
      this.timeMs = Math.min(endMs, this.timeMs + 60_000);
      this.put("/clock");
    }
  }

  get effects() {
    return this.last?.effects ?? [];
  }

  put(path: string, text = "x", more: Partial<WriteFile> = {}, command: RigCommand = {}): Reply {
    return this.run(writeOp(path, text, more), command);
  }

  /** What a member that replays the log from the start has. */
  replayed(): Rig {
    const other = new Rig(this.options);
    other.store = new MemoryStateStore();
    other.machine = new Machine(other.store, this.options);
    for (const entry of this.log) other.machine.apply(entry);
    other.machine.flush();
    return other;
  }

  /** A machine restored from this one's snapshot, at the same time. */
  restored(): Rig {
    const other = new Rig(this.options);
    other.store = new MemoryStateStore();
    restore(other.store, snapshot(this.store));
    other.machine = new Machine(other.store, this.options);
    other.timeMs = this.timeMs;
    return other;
  }

  bytes(): Buffer {
    return Buffer.concat([...snapshot(this.store)]);
  }
}

export function writeOp(path: string, text = "x", more: Partial<WriteFile> = {}): Op {
  const content = Buffer.from(utf8(text));
  const value: WriteFile = {
    path,
    content,
    chunks: [],
    size: 0,
    etag: etagOf(text),
    contentType: "",
    metadata: {},
    condition: undefined,
    uploadIndex: 0,
    ...more,
  };
  return { $case: "write", value };
}

/** 32 bytes that depend on the text: the machine never computes a digest. */
export function etagOf(text: string): Buffer {
  const out = Buffer.alloc(32);
  let hash = 2166136261;
  for (let i = 0; i < 32; i++) {
    hash = Math.imul(hash ^ (text.charCodeAt(i % (text.length || 1)) || 7), 16777619) >>> 0;
    out[i] = hash & 255;
  }
  return out;
}

export function when(condition: Partial<Precondition>): Precondition {
  return {
    ifMatch: Buffer.alloc(0),
    ifNoneMatch: false,
    ifRevision: undefined,
    fenceCounter: 0,
    fenceGeneration: 0,
    lockPath: "",
    ifExists: false,
    ...condition,
  };
}

/** A request id of 16 bytes from a small number. */
export function idOf(n: number): Buffer {
  return Buffer.from(fromHex(n.toString(16).padStart(32, "0"))!);
}

/** The code of a refusal, or the case of the answer. */
export function codeOf(reply: Reply): string {
  const { result } = reply;
  return result?.$case === "failure" ? result.value.code : (result?.$case ?? "none");
}

export function acquireOp(
  path: string,
  more: { kind?: string; slots?: number; wait?: boolean; ttlMs?: number; owner?: string } = {},
): Op {
  return {
    $case: "acquire",
    value: { path, kind: "mutex", slots: 1, ttlMs: 30_000, wait: false, owner: "me", ...more },
  };
}

/** The grant in an acquire's or extend's answer; fails when it is none. */
export function grantIn(reply: Reply) {
  if (reply.result?.$case !== "grant") throw new Error(`a grant was expected, ${JSON.stringify(reply.result)} came`);
  return reply.result.value;
}
