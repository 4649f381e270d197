import type { Reply } from "@nexus-federation/proto/command.ts";
import type { OperationResult } from "@nexus-federation/proto/records.ts";
import type { Refusal } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { infoOf } from "./entry.ts";
import type { Done } from "./files.ts";

export const emptyReply: Reply = { result: { $case: "empty", value: {} } };

export function failureReply(refusal: Refusal): Reply {
  return { result: { $case: "failure", value: failureOf(refusal) } };
}

export function resultOf(done: Done, generation: number): OperationResult {
  return { info: infoOf(done.entry, done.path, generation), existed: done.existed };
}

export function doneReply(done: Done, generation: number): Reply {
  return { result: { $case: "operation", value: resultOf(done, generation) } };
}
