import type { WatchFrame, WatchRequest } from "@nexus-federation/proto/files.ts";
import type { FeedPage, Response } from "@nexus-federation/proto/request.ts";
import type { Refusal } from "../base/errors.ts";
import { refuse } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { failureIn } from "../zones/answers.ts";
import type { Caller } from "./api.ts";
import { type Ask, noOptions } from "./ask.ts";

/** How long a page waits for its first event before an `alive` frame is sent, ms. */
const waitMs = 10_000;
/** Time for a page beside its waiting, ms: covers an election and the way there. */
const graceMs = 10_000;
const pageLimit = 256;

interface Cursor {
  generation: number;
  index: number;
}

/** A stream of a zone's changes: pages of its feed, each asked for when the one before was taken. */
export async function* watchFeed(
  ask: Ask,
  request: WatchRequest,
  { caller, signal }: { caller: Caller; signal: AbortSignal },
): AsyncGenerator<WatchFrame, void, void> {
  let cursor = parseEventToken(request.after);
  if (cursor === undefined && request.after !== "") {
    yield failed(refuse("INVALID", "after is the token of an event of this watch; something else came"));
    return;
  }
  while (!signal.aborted) {
    const response = await page(ask, request, { caller, cursor, signal });
    if (response === undefined) return;
    const failure = failureIn(response);
    if (failure !== undefined || response.result?.$case !== "feed") {
      const value = failure ?? failureOf(refuse("INTERNAL", "a feed read was answered with something else"));
      yield { token: cursor === undefined ? "" : printEventToken(cursor, 0), events: [], failure: value, alive: false };
      return;
    }
    const feed = response.result.value;
    cursor = { generation: feed.generation, index: feed.nextIndex };
    yield frameOf(feed, cursor);
  }
}

function page(
  ask: Ask,
  request: WatchRequest,
  at: { caller: Caller; cursor: Cursor | undefined; signal: AbortSignal },
): Promise<Response | undefined> {
  const { caller, cursor, signal } = at;
  const wait = cursor === undefined ? 0 : waitMs;
  const asked = ask(
    {
      $case: "feed",
      value: {
        path: request.path,
        afterIndex: cursor?.index ?? 0,
        generation: cursor?.generation ?? 0,
        limit: pageLimit,
        fromNow: cursor === undefined,
        waitMs: wait,
      },
    },
    { zone: request.zone, caller, options: { ...(request.options ?? noOptions), timeoutMs: wait + graceMs } },
  );
  return new Promise((resolve) => {
    const stop = () => resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
    asked.then((response) => {
      signal.removeEventListener("abort", stop);
      resolve(response);
    });
  });
}

function frameOf(feed: FeedPage, cursor: Cursor): WatchFrame {
  const last = feed.events.at(-1);
  const token = printEventToken(cursor, last?.index === cursor.index ? last.ordinal : 0);
  return { token, events: feed.events, failure: undefined, alive: feed.events.length === 0 };
}

function failed(refused: Refusal): WatchFrame {
  return { token: "", events: [], failure: failureOf(refused), alive: false };
}

/** generation.index.ordinal. Events of one entry arrive whole, so a watch goes on after the index. */
export function printEventToken(cursor: Cursor, ordinal: number): string {
  return `${cursor.generation}.${cursor.index}.${ordinal}`;
}

/** Undefined when `text` is not a printed event token. */
export function parseEventToken(text: string): Cursor | undefined {
  const match = /^(\d{1,10})\.(\d{1,16})\.(\d{1,10})$/.exec(text);
  if (match === null) return undefined;
  const [generation, index] = [Number(match[1]), Number(match[2])];
  return generation > 0 && Number.isSafeInteger(index) ? { generation, index } : undefined;
}
