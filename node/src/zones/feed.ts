import type { Event } from "@nexus-federation/proto/records.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import { isAtOrBelow } from "../tree/path.ts";
import type { ZoneReader } from "./ports.ts";

/** Events of one page, about (an entry's events arrive whole). */
const feedPageMax = 1_000;
/** Pages looked through for one answer when none of their events lie below the watched path. */
const pagesPerTurnMax = 8;
/** Feed reads that wait on this box, at most. */
const feedWaitsMax = 10_000;

export interface FeedQuery {
  log: number;
  path: string;
  afterIndex: number;
  limit: number;
  waitMs: number;
}
export interface FeedAnswer {
  events: Event[];
  nextIndex: number;
}

interface FeedWait {
  query: FeedQuery;
  reader: () => ZoneReader | undefined;
  done: (found: FeedAnswer | Refusal) => void;
  timer: Timer;
}

/** Pages of a zone's change feed, waiting for the first event when there is none yet. */
export class Feeds {
  readonly #waits = new Map<number, Set<FeedWait>>();
  #count = 0;
  readonly #clock: Clock;

  constructor(groups: Groups, clock: Clock) {
    this.#clock = clock;
    groups.onApplied((log, batch) => {
      if (batch.events > 0) this.#wake(log);
    });
  }

  read(query: FeedQuery, reader: () => ZoneReader | undefined, done: FeedWait["done"]): void {
    const found = page(query, reader());
    if (isRefusal(found) || found.events.length > 0 || query.waitMs <= 0) return done(found);
    if (this.#count >= feedWaitsMax) {
      return done(refuse("OVERLOADED", `${feedWaitsMax} watches wait on this box already`, { retryAfterMs: 1_000 }));
    }
    const waiting = { ...query, afterIndex: found.nextIndex };
    const wait: FeedWait = { query: waiting, reader, done, timer: { cancel: () => undefined } };
    wait.timer = this.#clock.after(query.waitMs, () => {
      this.#remove(wait);
      done(page(wait.query, reader()));
    });
    const waits = this.#waits.get(query.log) ?? new Set();
    waits.add(wait);
    this.#waits.set(query.log, waits);
    this.#count++;
  }

  #wake(log: number): void {
    for (const wait of [...(this.#waits.get(log) ?? [])]) {
      const found = page(wait.query, wait.reader());
      if (!isRefusal(found) && found.events.length === 0) {
        wait.query.afterIndex = found.nextIndex;
        continue;
      }
      this.#remove(wait);
      wait.done(found);
    }
  }

  #remove(wait: FeedWait): void {
    wait.timer.cancel();
    const waits = this.#waits.get(wait.query.log);
    if (waits?.delete(wait)) this.#count--;
    if (waits?.size === 0) this.#waits.delete(wait.query.log);
  }
}

function page(query: FeedQuery, reader: ZoneReader | undefined): FeedAnswer | Refusal {
  if (reader === undefined) return refuse("ZONE_UNAVAILABLE", "this box no longer serves the zone");
  let next = query.afterIndex;
  const limit = Math.min(query.limit || feedPageMax, feedPageMax);
  for (let i = 0; i < pagesPerTurnMax; i++) {
    const found = reader.eventsAfter(next, limit);
    if (isRefusal(found)) return found;
    const events = query.path === "/" ? found.events : found.events.filter((event) => concerns(event, query.path));
    const ended = found.nextIndex === next || found.events.length === 0;
    next = Math.max(next, found.nextIndex);
    if (events.length > 0 || ended) return { events, nextIndex: next };
  }
  return { events: [], nextIndex: next };
}

function concerns(event: Event, path: string): boolean {
  return isAtOrBelow(event.path, path) || (event.fromPath !== "" && isAtOrBelow(event.fromPath, path));
}
