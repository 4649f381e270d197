import { assert } from "../base/assert.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { FeedOutcome } from "./api.ts";
import { decodeEvent } from "./event.ts";
import { after, eventKey, eventPrefix, indexOfEventKey, ordinalOfEventKey } from "./keys.ts";
import type { MachineState } from "./state.ts";

/** Keeps the feed within its bound: removes the oldest events, whole entries, never those of the entry being applied. */
export function trimFeed(state: MachineState): void {
  const { counters, limits } = state;
  if (counters.feedCount <= limits.feedEventsMax + limits.feedSlack) return;
  const excess = counters.feedCount - limits.feedEventsMax;
  let last = counters.feedFloor;
  const range = { from: eventKey(counters.feedFloor + 1, 0), to: eventKey(state.index, 0), limit: excess };
  for (const { key } of state.overlay.scan(range)) last = indexOfEventKey(key);
  compactFeed(state, last + 1);
}

/** Removes the events of all entries below `belowIndex`, which is at most the entry being applied. */
export function compactFeed(state: MachineState, belowIndex: number): void {
  const { counters, overlay } = state;
  const below = Math.min(belowIndex, state.index);
  if (below <= counters.feedFloor + 1) return;
  const range = { from: eventKey(counters.feedFloor + 1, 0), to: eventKey(below, 0) };
  const keys: string[] = [];
  for (const { key } of overlay.scan(range)) keys.push(key);
  for (const key of keys) overlay.delete(key);
  counters.feedCount -= keys.length;
  counters.feedFloor = below - 1;
  assert(counters.feedCount >= 0, "the feed's count is the number of its events");
}

/** Events after `index`, whole entries, until at least `limit` (1 to 10 000) are gathered; COMPACTED below the floor. */
export function eventsAfter(state: MachineState, index: number, limit: number): FeedOutcome | Refusal {
  const { counters, generation } = state;
  if (index < counters.feedFloor) {
    const text = `the change feed starts after ${counters.feedFloor}, ${index} was asked for; list again and watch from there`;
    return refuse("COMPACTED", text, { details: { floor: String(counters.feedFloor) } });
  }
  const most = Math.min(Math.max(limit, 1), 10_000);
  const out: FeedOutcome = { events: [], nextIndex: Math.max(index, counters.appliedIndex) };
  for (const { key, value } of state.overlay.scan({ from: eventKey(index + 1, 0), to: after(eventPrefix) })) {
    const at = indexOfEventKey(key);
    const last = out.events.at(-1)?.index;
    if (out.events.length >= most && last !== undefined && last !== at) return { events: out.events, nextIndex: last };
    out.events.push(decodeEvent(value, { index: at, ordinal: ordinalOfEventKey(key), generation }));
  }
  return out;
}
