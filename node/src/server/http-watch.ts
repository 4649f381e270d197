// The change feed as server-sent events: `id` is the opaque token to resume from (Last-Event-ID or ?after=).
import { Readable } from "node:stream";
import type { WatchFrame } from "@nexus-federation/proto/files.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { isRefusal } from "../base/errors.ts";
import { jsonFile, sendProblem } from "./http-answers.ts";
import type { Door } from "./http-context.ts";
import { addressBehind, optionsOf } from "./http-requests.ts";

const prefix = "/api/v1/watch";

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
  const after = typeof lastId === "string" ? lastId : ((request.query as Record<string, string>)["after"] ?? "");
  const gone = new AbortController();
  request.raw.socket.once("close", () => gone.abort());
  const frames = door.box.watch(
    { options, path: address.path, after, zone: address.zone ?? "" },
    request.caller,
    gone.signal,
  );
  reply.header("cache-control", "no-store").type("text/event-stream");
  return reply.send(Readable.from(eventsOf(frames), { objectMode: false }));
}

async function* eventsOf(frames: AsyncIterable<WatchFrame>): AsyncIterable<string> {
  yield ": watching\n\n";
  for await (const frame of frames) {
    if (frame.failure) {
      const { code, message } = frame.failure;
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
