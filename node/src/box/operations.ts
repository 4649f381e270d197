import type { Operation } from "@nexus-federation/proto/command.ts";
import type { Request } from "@nexus-federation/proto/request.ts";
import type { Right } from "../auth/checks.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";

/** A path that an operation touches, and the right that it takes. */
export interface Access {
  right: Right;
  path: string;
}

/** Operations in a batch at most (command.proto). */
const batchMax = 4_096;

type OperationCase = NonNullable<Operation["op"]>["$case"];
/** Operations that only boxes and the admin calls may propose. */
const internalCases: ReadonlySet<OperationCase> = new Set<OperationCase>([
  "expire",
  "cancelWait",
  "dropChunks",
  "own",
  "cede",
  "setPolicy",
  "raiseLevel",
  "compactFeed",
  "system",
]);

export function isInternal(operation: Operation): boolean {
  return operation.op !== undefined && internalCases.has(operation.op.$case);
}

/** An acquisition that may rightly take its whole time. */
export function isWaitingAcquire({ op }: Operation): boolean {
  return op?.$case === "acquire" && op.value.wait;
}
export function waitsForLock({ op }: Request): boolean {
  return op?.$case === "mutate" && isWaitingAcquire(op.value);
}

/** Calls `visit` for every path; stops at and returns its first refusal. */
export function eachAccess(operation: Operation, visit: (access: Access) => Refusal | undefined): Refusal | undefined {
  const op = operation.op;
  if (op === undefined) return refuse("INVALID", "the request names no operation");
  switch (op.$case) {
    case "write":
    case "delete":
    case "mkdir":
    case "setMetadata":
      return visit({ right: "write", path: op.value.path });
    case "rename": {
      const { from, to } = op.value;
      // Content that one may not read must not become readable by being moved.
      const source = visit({ right: "write", path: from }) ?? visit({ right: "read", path: from });
      return source ?? visit({ right: "write", path: to });
    }
    case "copy":
      return visit({ right: "read", path: op.value.from }) ?? visit({ right: "write", path: op.value.to });
    case "acquire":
    case "extend":
    case "release":
      return visit({ right: "lock", path: op.value.path });
    case "batch": {
      const { operations } = op.value;
      if (operations.length === 0) return refuse("INVALID", "a batch has at least one operation");
      if (operations.length > batchMax) {
        return refuse("TOO_LARGE", `a batch has at most ${batchMax} operations; ${operations.length} came`);
      }
      for (const one of operations) {
        if (one.op?.$case === "batch") return refuse("INVALID", "a batch holds no batch");
        const refused = isInternal(one) ? internalOnly() : eachAccess(one, visit);
        if (refused !== undefined) return refused;
      }
      return undefined;
    }
    default:
      return internalOnly();
  }
}

export function internalOnly(): Refusal {
  return refuse("DENIED", "this operation is proposed by boxes only");
}

/**
 * The operation with every path replaced by `map`; the first refusal ends it. A fence's lock path is a path too, but is
 * left out of the rights: holding the fence is the right.
 */
export function mapPaths(operation: Operation, map: (path: string) => string | Refusal): Operation | Refusal {
  const op = operation.op;
  if (op === undefined) return refuse("INVALID", "the request names no operation");
  switch (op.$case) {
    case "write":
    case "delete":
    case "setMetadata": {
      const path = map(op.value.path);
      if (isRefusal(path)) return path;
      const condition = mapCondition(op.value.condition, map);
      if (isRefusal(condition)) return condition;
      return { op: { ...op, value: { ...op.value, path, condition } } } as Operation;
    }
    case "mkdir":
    case "acquire":
    case "extend":
    case "release":
    case "cancelWait": {
      const path = map(op.value.path);
      return isRefusal(path) ? path : ({ op: { ...op, value: { ...op.value, path } } } as Operation);
    }
    case "rename":
    case "copy": {
      const from = map(op.value.from);
      if (isRefusal(from)) return from;
      const to = map(op.value.to);
      if (isRefusal(to)) return to;
      const condition = mapCondition(op.value.condition, map);
      if (isRefusal(condition)) return condition;
      return { op: { ...op, value: { ...op.value, from, to, condition } } } as Operation;
    }
    case "batch": {
      const operations: Operation[] = [];
      for (const one of op.value.operations) {
        const mapped = mapPaths(one, map);
        if (isRefusal(mapped)) return mapped;
        operations.push(mapped);
      }
      return { op: { $case: "batch", value: { operations } } };
    }
    default:
      return operation;
  }
}

type Condition = Extract<NonNullable<Operation["op"]>, { $case: "write" }>["value"]["condition"];

function mapCondition(condition: Condition, map: (path: string) => string | Refusal): Condition | Refusal {
  if (condition === undefined || condition.lockPath === "") return condition;
  const lockPath = map(condition.lockPath);
  return isRefusal(lockPath) ? lockPath : { ...condition, lockPath };
}
