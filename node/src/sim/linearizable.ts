import type { Call } from "./history.ts";

/** A register's content after a call, or undefined when the call could not have been answered so. "" = no file. */
function step(state: string, call: Call): string | undefined {
  const matches = conditionHolds(state, call);
  if (call.outcome === "unknown") return matches ? after(call) : state;
  if (call.kind === "read") return call.value === state ? state : undefined;
  if (call.outcome === "ok") return matches ? after(call) : undefined;
  return matches ? undefined : state;
}

function conditionHolds(state: string, call: Call): boolean {
  switch (call.kind) {
    case "create":
      return state === "";
    case "cas":
      return state === call.expected;
    case "delete":
      return state !== "";
    default:
      return true;
  }
}

function after(call: Call): string {
  return call.kind === "delete" ? "" : call.value;
}

/** What the search itself needs to know of a call. */
export type Timed = Pick<Call, "invoked" | "returned" | "outcome"> & { kind: string };

interface Event {
  /** Among the calls that are told. */
  index: number;
  /** Of a call: its return. Undefined for a return. */
  match: Event | undefined;
  previous: Event | undefined;
  next: Event | undefined;
}

/** Whether some order of the calls on one register explains every answer. */
export function isLinearizable(calls: readonly Call[]): boolean {
  return isExplained(calls, step);
}

/**
 * Whether some order of the calls, in which none comes before one that had returned when it began, explains every answer
 * (Wing and Gong's search with Lowe's memory of what was tried). Calls that were certainly not executed are left out,
 * those of unknown fate return at the end of time. `next` is the object: its state after a call, from "" on, or undefined
 * when the call could not have been answered so.
 */
export function isExplained<C extends Timed>(
  calls: readonly C[],
  next: (state: string, call: C) => string | undefined,
): boolean {
  const told = calls.filter((call) => call.outcome !== "none" && !(call.kind === "read" && call.outcome !== "ok"));
  const head = eventsOf(told);
  const done = new Uint8Array(told.length);
  const tried = new Set<string>();
  const stack: { event: Event; state: string }[] = [];
  let state = "";
  let at = head.next;
  while (head.next !== undefined) {
    if (at === undefined) return false;
    if (at.match !== undefined) {
      const after = next(state, told[at.index] as C);
      if (after !== undefined && remember(tried, done, at.index, after)) {
        stack.push({ event: at, state });
        state = after;
        lift(at);
        at = head.next;
      } else at = at.next;
      continue;
    }
    // A return that no order explains: the last choice was wrong.
    const last = stack.pop();
    if (last === undefined) return false;
    state = last.state;
    done[last.event.index] = 0;
    unlift(last.event);
    at = last.event.next;
  }
  return true;
}

function remember(tried: Set<string>, done: Uint8Array, index: number, state: string): boolean {
  done[index] = 1;
  const key = `${state} ${Buffer.from(done.buffer).toString("latin1")}`;
  if (!tried.has(key)) {
    tried.add(key);
    return true;
  }
  done[index] = 0;
  return false;
}

function eventsOf(calls: readonly Timed[]): Event {
  const points: { place: number; event: Event }[] = [];
  for (const [index, call] of calls.entries()) {
    const returns: Event = { index, match: undefined, previous: undefined, next: undefined };
    const begins: Event = { index, match: returns, previous: undefined, next: undefined };
    points.push({ place: call.invoked, event: begins });
    points.push({ place: call.outcome === "unknown" ? Number.MAX_SAFE_INTEGER : call.returned, event: returns });
  }
  points.sort((left, right) => left.place - right.place);
  const head: Event = { index: -1, match: undefined, previous: undefined, next: undefined };
  let last = head;
  for (const { event } of points) {
    last.next = event;
    event.previous = last;
    last = event;
  }
  return head;
}

function lift(event: Event): void {
  unlink(event);
  unlink(event.match as Event);
}

function unlift(event: Event): void {
  relink(event.match as Event);
  relink(event);
}

function unlink(event: Event): void {
  if (event.previous !== undefined) event.previous.next = event.next;
  if (event.next !== undefined) event.next.previous = event.previous;
}

function relink(event: Event): void {
  if (event.previous !== undefined) event.previous.next = event;
  if (event.next !== undefined) event.next.previous = event;
}
