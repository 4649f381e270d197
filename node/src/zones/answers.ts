import type { Failure, Receipt } from "@nexus-federation/proto/records.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import type { Refusal } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";

export type Result = NonNullable<Response["result"]>;

/** `id` and `servedBy` are filled in by the box. */
export function answer(result: Result, receipt?: Receipt): Response {
  return { id: 0, receipt, servedBy: "", result };
}

export function refusal(refused: Refusal, receipt?: Receipt): Response {
  return answer({ $case: "failure", value: failureOf(refused) }, receipt);
}

export function failureIn(response: Response): Failure | undefined {
  return response.result?.$case === "failure" ? response.result.value : undefined;
}
