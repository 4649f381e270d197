import type { Batch, Command, Operation, Reply } from "@nexus-federation/proto/command.ts";
import { unreachable } from "../base/assert.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { dropChunks } from "./chunks.ts";
import { compactFeed } from "./feed.ts";
import { type Done, deletePath, makeDirectory, setMetadata, writeFile } from "./files.ts";
import { type Acquired, acquireLock, cancelWait, expireLock, extendLock, releaseLock } from "./locks.ts";
import { copyFile, renamePath } from "./move.ts";
import { emptyReply } from "./replies.ts";
import type { MachineState } from "./state.ts";
import { runSystemCommand } from "./system.ts";
import { cede, own, raiseLevel, setPolicy } from "./zone-commands.ts";

/** What an operation came to, before it is made a reply and remembered. */
export type Outcome =
  | Refusal
  | { done: Done }
  | { batch: Done[] }
  /** Remembered by reference: a retry is told what the lock's state says then. */
  | { lock: { path: string; lockId: Uint8Array }; reply: Reply }
  | { reply: Reply };

export function runOperation(state: MachineState, command: Command, isSystem: boolean): Outcome {
  const op = command.operation?.op;
  if (!op) return refuse("INVALID", "operation: it is missing or newer than this version knows");
  switch (op.$case) {
    case "write":
    case "delete":
    case "mkdir":
    case "rename":
    case "copy":
    case "setMetadata":
      return asDone(runFileOperation(state, op));
    case "batch":
      return runBatch(state, op.value);
    case "acquire":
    case "extend":
    case "release":
    case "expire":
    case "cancelWait":
      return runLockOperation(state, op, command.requestId);
    case "dropChunks":
      return asEmpty(dropChunks(state, op.value));
    case "own":
      return asEmpty(own(state, op.value));
    case "cede":
      return asEmpty(cede(state, op.value));
    case "setPolicy":
      return asEmpty(setPolicy(state, op.value));
    case "raiseLevel":
      return asEmpty(raiseLevel(state, op.value));
    case "compactFeed":
      compactFeed(state, op.value.belowIndex);
      return { reply: emptyReply };
    case "system": {
      if (!isSystem) return refuse("INVALID", "operation: only the system zone takes system commands");
      const answer = runSystemCommand(state, op.value);
      return isRefusal(answer) ? answer : { reply: { result: { $case: "system", value: answer } } };
    }
    default:
      return unreachable(op, "operation");
  }
}

type Op = NonNullable<Operation["op"]>;
type FileOp = Extract<Op, { $case: "write" | "delete" | "mkdir" | "rename" | "copy" | "setMetadata" }>;
type LockOp = Extract<Op, { $case: "acquire" | "extend" | "release" | "expire" | "cancelWait" }>;

function runFileOperation(state: MachineState, op: FileOp): Done | Refusal {
  switch (op.$case) {
    case "write":
      return writeFile(state, op.value);
    case "delete":
      return deletePath(state, op.value);
    case "mkdir":
      return makeDirectory(state, op.value);
    case "rename":
      return renamePath(state, op.value);
    case "copy":
      return copyFile(state, op.value);
    case "setMetadata":
      return setMetadata(state, op.value);
    default:
      return unreachable(op, "file operation");
  }
}

/** All or nothing: the caller undoes what was done before the refused operation, whose place is in the details. */
function runBatch(state: MachineState, batch: Batch): Outcome {
  const most = state.limits.batchOperationsMax;
  if (batch.operations.length > most) {
    return refuse("TOO_LARGE", `operations: a batch has at most ${most}, ${batch.operations.length} came`);
  }
  const results: Done[] = [];
  for (const [i, { op }] of batch.operations.entries()) {
    const result =
      op && isFileOperation(op) ? runFileOperation(state, op) : refuse("INVALID", "a batch holds file operations only");
    if (isRefusal(result)) {
      const details = { ...result.details, operation: String(i) };
      return { ...result, message: `operation ${i}: ${result.message}`, details };
    }
    results.push(result);
  }
  return { batch: results };
}

function isFileOperation(op: Op): op is FileOp {
  return ["write", "delete", "mkdir", "rename", "copy", "setMetadata"].includes(op.$case);
}

function runLockOperation(state: MachineState, op: LockOp, requestId: Uint8Array): Outcome {
  switch (op.$case) {
    case "acquire": {
      const acquired = acquireLock(state, op.value, requestId.length > 0 ? requestId : idOfIndex(state.index));
      if (isRefusal(acquired)) return acquired;
      return { lock: { path: op.value.path, lockId: lockIdOf(acquired) }, reply: acquiredReply(acquired) };
    }
    case "extend": {
      const grant = extendLock(state, op.value);
      if (isRefusal(grant)) return grant;
      return { lock: { path: op.value.path, lockId: op.value.lockId }, reply: acquiredReply({ grant }) };
    }
    case "release":
      return asEmpty(releaseLock(state, op.value));
    case "expire":
      expireLock(state, op.value);
      return { reply: emptyReply };
    case "cancelWait": {
      const grant = cancelWait(state, op.value);
      return { reply: grant ? acquiredReply({ grant }) : emptyReply };
    }
    default:
      return unreachable(op, "lock operation");
  }
}

function lockIdOf(acquired: Acquired): Uint8Array {
  return "grant" in acquired ? acquired.grant.lockId : acquired.waiting.waiterId;
}

function acquiredReply(acquired: Acquired): Reply {
  if ("grant" in acquired) return { result: { $case: "grant", value: acquired.grant } };
  return { result: { $case: "waiting", value: acquired.waiting } };
}

/** The lock id of an acquire without a request id: 16 bytes that no other entry of the log makes. */
function idOfIndex(index: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setBigUint64(8, BigInt(index));
  return id;
}

function asDone(result: Done | Refusal): Outcome {
  return isRefusal(result) ? result : { done: result };
}

function asEmpty(refusal: Refusal | undefined): Outcome {
  return refusal ?? { reply: emptyReply };
}
