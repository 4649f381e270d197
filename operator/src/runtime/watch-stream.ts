import type { IncomingMessage } from "node:http";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { readAnswer, watchError } from "./answers.ts";
import { KubeError } from "./kube-error.ts";
import type { KubeObject } from "./objects.ts";

/** An object of the API is at most 1.5 MiB in etcd; JSON and managed fields make it a little more. */
const lineBytesMax = 8 * 1024 * 1024;

export type WatchEvent =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: KubeObject }
  /** Only the revision is meant: everything before it has been sent. */
  | { type: "BOOKMARK"; object: KubeObject };

/**
 * The events of an answer to a watch, until it ends. Throws KubeError: of the answer's status, of an ERROR event, of
 * the connection.
 */
export async function* readWatch(message: IncomingMessage, shown: string): AsyncGenerator<WatchEvent> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  const isGood = message.statusCode === 200;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = isGood ? chunk.indexOf(10) : -1; end >= 0; end = chunk.indexOf(10, from)) {
        const line = Buffer.concat([...rest, chunk.subarray(from, end)]).toString("utf8");
        rest = [];
        restBytes = 0;
        from = end + 1;
        if (line.trim() !== "") yield eventOf(line, shown);
      }
      rest.push(chunk.subarray(from));
      restBytes += chunk.length - from;
      if (restBytes > lineBytesMax)
        throw new KubeError("GARBLED", `${shown}: one event is above ${lineBytesMax} bytes`);
    }
  } catch (error) {
    throw error instanceof KubeError
      ? error
      : new KubeError("NETWORK", `${shown}: ${messageOf(error)}`, { cause: error });
  } finally {
    message.destroy();
  }
  const body = Buffer.concat(rest).toString("utf8");
  if (!isGood) readAnswer({ status: message.statusCode ?? 0, headers: message.headers, body }, shown);
}

function eventOf(line: string, shown: string): WatchEvent {
  let event: { type?: string; object?: KubeObject };
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new KubeError("GARBLED", `${shown}: an event is not JSON: ${line.slice(0, 120)}`, { cause });
  }
  if (event.type === "ERROR") throw watchError(event.object);
  if (!event.object?.metadata)
    throw new KubeError("GARBLED", `${shown}: an event has no object: ${line.slice(0, 120)}`);
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK":
      return { type: event.type, object: event.object };
    default:
      throw new KubeError("GARBLED", `${shown}: an event of unknown type ${event.type}`);
  }
}
