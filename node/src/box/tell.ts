import { asBuffer } from "../base/bytes.ts";
import type { Refusal } from "../base/errors.ts";
import { refuse } from "../base/errors.ts";
import { noOptions, refusalIn } from "./ask.ts";
import type { Forward } from "./ports.ts";

/** Time for a box to execute what it is told, ms: the initiator of a log tells all its members meanwhile. */
const tellMs = 15_000;

/** Has another box execute an admin call on itself. */
export function tellBox(
  needs: { self: string; forward: Forward },
  box: string,
  call: { method: string; body: Uint8Array },
): Promise<Refusal | undefined> {
  const options = { ...noOptions, timeoutMs: tellMs, hops: [needs.self] };
  const op = { $case: "admin" as const, value: { method: call.method, body: asBuffer(call.body) } };
  return new Promise((resolve) => {
    needs.forward.send(box, { id: 0, options, zone: "", op }, tellMs, (outcome) => {
      if (outcome.kind === "answer") return resolve(refusalIn(outcome.response));
      resolve(refuse("ZONE_UNAVAILABLE", `box ${box} could not be told (${call.method}): ${outcome.reason}`));
    });
  });
}
