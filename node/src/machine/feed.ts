import { type Refusal, refuse } from "../base/errors.ts";
import type { FeedOutcome } from "./api.ts";
import { decodeEvent } from "./event.ts";
import { decodeRow } from "./journal-rows.ts";
import { after, eventKey, eventPrefix, indexOfJournalKey, moreEventsKey, ordinalOfMoreEventsKey } from "./keys.ts";
import type { MachineState } from "./state.ts";

/** Removes the events of all entries below `belowIndex`, which is at most the entry being applied. */
export function compactFeed(state: MachineState, belowIndex: number): void {
  const below = Math.min(belowIndex, state.index);
  if (below > state.counters.feedFloor + 1) state.journal.compact(below - 1);
}

/** Events after `index`, whole entries, until at least `limit` (1 to 10 000) are gathered; COMPACTED below the floor. */
export function eventsAfter(state: MachineState, index: number, limit: number): FeedOutcome | Refusal {
  const { counters, generation, overlay } = state;
  if (index < counters.feedFloor) {
    const text = `the change feed starts after ${counters.feedFloor}, ${index} was asked for; list again and watch from there`;
    return refuse("COMPACTED", text, { details: { floor: String(counters.feedFloor) } });
  }
  const most = Math.min(Math.max(limit, 1), 10_000);
  const out: FeedOutcome = { events: [], nextIndex: Math.max(index, counters.appliedIndex) };
  for (const { key, value } of overlay.scan({ from: eventKey(index + 1), to: after(eventPrefix) })) {
    const at = indexOfJournalKey(key);
    const last = out.events.at(-1)?.index;
    if (out.events.length >= most && last !== undefined) return { events: out.events, nextIndex: last };
    const { event, hasMore } = decodeRow(value);
    if (event !== undefined) out.events.push(decodeEvent(event, { index: at, ordinal: 0, generation }));
    if (!hasMore) continue;
    for (const more of overlay.scan({ from: moreEventsKey(at, 0), to: moreEventsKey(at + 1, 0) })) {
      const ordinal = ordinalOfMoreEventsKey(more.key);
      out.events.push(decodeEvent(more.value, { index: at, ordinal, generation }));
    }
  }
  return out;
}
