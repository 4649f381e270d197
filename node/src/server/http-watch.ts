// The change feed as server-sent events: `id` is the opaque token to resume from (Last-Event-ID or ?after=).

import { Readable } from "node:stream";
import type { WatchFrame } from "@nexus-federation/proto/files.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { isRefusal } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { jsonFile } from "../base/json.ts";
import type { Caller } from "../box/api.ts";
import { sendProblem } from "./http-answers.ts";
import type { Door } from "./http-context.ts";
import { addressBehind, optionsOf, queryText } from "./http-requests.ts";

const prefix = "/api/v1/watch";
/** A refusal that comes by then is an answer of its own; a later one is an event of the stream. */
const refusalWaitMs = 200;

export function watchRoutes(app: FastifyInstance, door: Door): void {
  const summary = "Changes at and below a path as server-sent events; resumes behind Last-Event-ID.";
  app.get(`${prefix}/*`, { schema: { summary, tags: ["watch"] } }, (q, r) => watch(door, q, r));
}

async function watch(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const address = addressBehind(prefix, request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const options = optionsOf(request.headers, request.caller);
  if (isRefusal(options)) return sendProblem(reply, options);
  const lastId = request.headers["last-event-id"];
  const after = typeof lastId === "string" ? lastId : queryText(request, "after");
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  const what = { options, path: address.path, after, zone: address.zone ?? "" };
  const frames = door.box.watch(what, request.caller, gone.signal)[Symbol.asyncIterator]();
  const first = frames.next();
  const early = await Promise.race([first, soon()]);
  const failure = early?.value?.failure;
  if (failure) return sendProblem(reply, refusalOfFailure(failure));
  reply.header("cache-control", "no-store").type("text/event-stream");
  return reply.send(Readable.from(eventsOf(first, frames, request.caller), { objectMode: false }));
}

function soon(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, refusalWaitMs, undefined));
}

type Frames = AsyncIterator<WatchFrame>;

async function* eventsOf(first: ReturnType<Frames["next"]>, frames: Frames, caller: Caller): AsyncIterable<string> {
  yield ": watching\n\n";
  for (let next = await first; !next.done; next = await frames.next()) {
    const frame = next.value;
    const failure = (await caller.renewal?.()) ?? frame.failure;
    if (failure) {
      const { code, message } = failure;
      yield `event: failure\ndata: ${JSON.stringify({ code, message })}\n\n`;
      return;
    }
    if (frame.events.length === 0) {
      yield frame.token ? `id: ${frame.token}\nevent: alive\ndata: {}\n\n` : ": alive\n\n";
      continue;
    }
    const events = frame.events.map((event) => ({
      kind: event.kind,
      path: event.path,
      ...(event.fromPath ? { fromPath: event.fromPath } : {}),
      index: String(event.index),
      ordinal: event.ordinal,
      file: event.info && jsonFile(event.info),
      at: new Date(event.logTimeMs).toISOString(),
    }));
    yield `id: ${frame.token}\nevent: changes\ndata: ${JSON.stringify(events)}\n\n`;
  }
}
