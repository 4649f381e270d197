import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import type { Endpoint } from "./connection.ts";
import { KubeError } from "./kube-error.ts";

/** A page of a list with 500 large objects stays below; more is no answer of this API. */
const answerBytesMax = 64 * 1024 * 1024;

export interface HttpCall {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the server's root, query included. */
  path: string;
  contentType?: string;
  body?: string;
  signal?: AbortSignal;
  /** Until the whole answer is there; for a stream, until its head is. */
  deadlineMs: number;
}

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

/** Sends and reads the whole answer, whatever its status. Throws KubeError NETWORK, DEADLINE, ABORTED or GARBLED. */
export async function exchange(endpoint: Endpoint, call: HttpCall, clock: Clock): Promise<Answer> {
  const opened = await open(endpoint, call, clock);
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of opened.message as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > answerBytesMax) {
        opened.message.destroy();
        throw new KubeError("GARBLED", `${call.method} ${call.path}: the answer is above ${answerBytesMax} bytes`);
      }
      chunks.push(chunk);
    }
    const { statusCode, headers } = opened.message;
    return { status: statusCode ?? 0, headers, body: Buffer.concat(chunks).toString("utf8") };
  } catch (error) {
    throw error instanceof KubeError ? error : (opened.ended() ?? networkError(call, error));
  } finally {
    opened.release();
  }
}

/** Sends and hands over the answer as it comes. `signal` goes on to end it; the deadline does not. */
export async function stream(endpoint: Endpoint, call: HttpCall, clock: Clock): Promise<IncomingMessage> {
  const opened = await open(endpoint, call, clock);
  opened.disarm();
  return opened.message;
}

interface Opened {
  message: IncomingMessage;
  /** Why the call was cut from this side, if it was. */
  ended(): KubeError | undefined;
  /** No deadline from now on. */
  disarm(): void;
  /** Neither deadline nor signal from now on. */
  release(): void;
}

function open(endpoint: Endpoint, call: HttpCall, clock: Clock): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const shown = `${call.method} ${call.path}`;
    if (call.signal?.aborted)
      return reject(new KubeError("ABORTED", `${shown} was not sent`, { cause: call.signal.reason }));
    let cut: KubeError | undefined;
    const send = endpoint.url.protocol === "http:" ? httpRequest : httpsRequest;
    const request = send({
      method: call.method,
      protocol: endpoint.url.protocol,
      hostname: endpoint.url.hostname.replace(/^\[|\]$/g, ""),
      port: endpoint.url.port,
      path: `${endpoint.url.pathname.replace(/\/$/, "")}${call.path}`,
      agent: endpoint.agent,
      headers: headersOf(endpoint, call),
    });
    const end = (error: KubeError) => {
      cut ??= error;
      request.destroy(cut);
    };
    const timer = clock.after(call.deadlineMs, () =>
      end(new KubeError("DEADLINE", `${shown}: no answer within ${call.deadlineMs} ms`)),
    );
    const onAbort = () => end(new KubeError("ABORTED", `${shown} was ended`, { cause: call.signal?.reason }));
    call.signal?.addEventListener("abort", onAbort, { once: true });
    const release = () => {
      timer.cancel();
      call.signal?.removeEventListener("abort", onAbort);
    };
    request.on("response", (message) => {
      message.once("close", release);
      resolve({ message, ended: () => cut, disarm: () => timer.cancel(), release });
    });
    request.on("error", (error) => {
      release();
      reject(cut ?? networkError(call, error, request.reusedSocket));
    });
    request.end(call.body);
  });
}

function headersOf(endpoint: Endpoint, call: HttpCall): Record<string, string> {
  const headers: Record<string, string> = {
    accept: "application/json",
    "user-agent": "nexus-operator",
    ...endpoint.headers,
  };
  if (call.body !== undefined) {
    headers["content-type"] = call.contentType ?? "application/json";
    headers["content-length"] = String(Buffer.byteLength(call.body));
  }
  return headers;
}

/** The connection was a kept one that the server had closed meanwhile: nothing was read from it. */
export const staleConnection = "StaleConnection";

function networkError(call: HttpCall, cause: unknown, reused = false): KubeError {
  return new KubeError("NETWORK", `${call.method} ${call.path}: ${messageOf(cause)}`, {
    cause,
    reason: reused ? staleConnection : "",
  });
}
