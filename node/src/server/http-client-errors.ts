// Refusals of what is no HTTP request that a route could answer: the parser gave it up.
import http from "node:http";
import type { Socket } from "node:net";
import { type Refusal, refuse } from "../base/errors.ts";
import { problemOf, problemType } from "./http-answers.ts";

/** Who still sends may read the answer so long before the connection is cut, ms. */
const lingerMs = 2000;

/** Answers with a problem and ends the connection: what comes after is not known to be a request. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  const begun = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent === true;
  if (error.code === "ECONNRESET" || begun) return void socket.destroy();
  if (!socket.writable) return;
  const { refusal, status } = refusalFor(error);
  const body = JSON.stringify(problemOf(refusal, status));
  const head = [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(cut));
}

function refusalFor(error: Error & { code?: string }): { refusal: Refusal; status: number } {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return {
        refusal: refuse("TOO_LARGE", `request target and headers: at most ${http.maxHeaderSize} bytes together`),
        status: 431,
      };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { refusal: refuse("DEADLINE", "the request did not come whole in time"), status: 408 };
    default:
      return { refusal: refuse("INVALID", `this is no HTTP request: ${error.message}`), status: 400 };
  }
}
