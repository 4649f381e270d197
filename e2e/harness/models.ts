// What each kind of object does with a call, as slow and obvious as it can be said. porcupine/models.go says the same in
// another language: a checker that errs must not be believed alone.
import type { Outcome } from "../../node/src/sim/history.ts";
import type { Kind, Model } from "./history.ts";

export interface ModelCall {
  client: number;
  model: Model;
  kind: Kind;
  path: string;
  value: string;
  expected: string;
  slots: number;
  invoked: number;
  returned: number;
  outcome: Outcome;
}

/** The state after a call, from "" on; undefined when the call could not have been answered so. */
export type Step = (state: string, call: ModelCall) => string | undefined;

/** Calls that change something and may have been executed or not; refused ones changed nothing. */
function changed(state: string, call: ModelCall, next: string | undefined): string | undefined {
  if (call.outcome === "failed") return state;
  return next ?? (call.outcome === "unknown" ? state : undefined);
}

function register(state: string, call: ModelCall): string | undefined {
  if (call.kind === "read") return call.value === state ? state : undefined;
  const holds =
    call.kind === "create"
      ? state === ""
      : call.kind === "cas"
        ? state === call.expected
        : call.kind !== "delete" || state !== "";
  const after = call.kind === "delete" ? "" : call.value;
  if (call.outcome === "unknown") return holds ? after : state;
  if (call.outcome === "failed") return holds ? undefined : state;
  return holds ? after : undefined;
}

function list(state: string, call: ModelCall): string | undefined {
  if (call.kind === "read") return call.value === state ? state : undefined;
  return changed(state, call, state === "" ? call.value : `${state},${call.value}`);
}

function counter(state: string, call: ModelCall): string | undefined {
  if (call.kind === "read") return call.value === state ? state : undefined;
  return changed(state, call, Number(state) === Number(call.value) - 1 ? call.value : undefined);
}

/** The state is the ids of the holders, sorted. */
function semaphore(state: string, call: ModelCall): string | undefined {
  const holders = state === "" ? [] : state.split(",");
  if (call.kind !== "acquire") return changed(state, call, holders.filter((id) => id !== call.value).join(","));
  const room = holders.length < call.slots;
  return changed(state, call, room ? [...holders, call.value].sort().join(",") : undefined);
}

export const models: Record<Model, Step> = { register, list, counter, semaphore };
