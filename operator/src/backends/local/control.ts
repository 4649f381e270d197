// The supervisor's door: a unix socket in the folder, one JSON value a line each way, open to the folder's owner only.
import { createHash } from "node:crypto";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ErrorCode, messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { z } from "zod";
import { resourceName } from "../../api/fields.ts";
import type { LoadFault } from "../../api/load.ts";
import type { Folder } from "./folder.ts";
import { LocalError } from "./local-error.ts";
import type { ApplyOutcome, LocalStatus } from "./status.ts";

const files = z.array(z.object({ name: z.string(), text: z.string() }));
const requests = {
  status: z.object({ verb: z.literal("status") }),
  apply: z.object({ verb: z.literal("apply"), files }),
  delete: z.object({ verb: z.literal("delete"), files }),
  /** Answers when nothing is left to do, or with what there is when the time is over. */
  settle: z.object({ verb: z.literal("settle"), timeoutMs: z.number().min(0) }),
  /** Another certificate for the box; answers when the former one counts no more. */
  revoke: z.object({ verb: z.literal("revoke"), box: resourceName() }),
  down: z.object({ verb: z.literal("down"), deleteData: z.boolean() }),
};
type Requests = { [V in keyof typeof requests]: z.infer<(typeof requests)[V]> };
export type ControlRequest = Requests[keyof Requests];

export interface ControlAnswers {
  status: LocalStatus;
  apply: ApplyOutcome;
  delete: ApplyOutcome;
  settle: LocalStatus;
  revoke: { revoked: true };
  down: { stopped: true };
}
type Verb = ControlRequest["verb"];

type ControlReply =
  | { ok: true; value: unknown }
  | { ok: false; code: ErrorCode; message: string; faults?: LoadFault[] };

export type ControlHandlers = {
  [V in Verb]: (request: Extract<ControlRequest, { verb: V }>) => Promise<ControlAnswers[V]>;
};

/** A line above this ends the connection. */
export const lineBytesMax = 64 * 1024 * 1024;
/** Paths of unix sockets are short; a longer one moves to the system's folder for temporary files. */
const socketPathMax = 100;

function socketPath(folder: Folder): string {
  if (Buffer.byteLength(folder.socket) <= socketPathMax) return folder.socket;
  return join(tmpdir(), `nexus-${createHash("sha256").update(folder.root).digest("hex").slice(0, 24)}.sock`);
}

export interface ControlDoor {
  /** Answers under way are sent first; who only holds a connection open is cut off. */
  close(): Promise<void>;
}

/** Listens; the caller has claimed the folder, so a socket that is there is nobody's. */
export async function serveControl(folder: Folder, handlers: ControlHandlers): Promise<ControlDoor> {
  const path = socketPath(folder);
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serveConnection(socket, handlers);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
  chmodSync(path, 0o600);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroySoon();
      await closed;
      rmSync(path, { force: true });
    },
  };
}

function serveConnection(socket: Socket, handlers: ControlHandlers): void {
  socket.on("error", () => socket.destroy());
  eachLine(socket, async (line) => {
    const reply = await answer(line, handlers);
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  });
}

async function answer(line: string, handlers: ControlHandlers): Promise<ControlReply> {
  try {
    const request = requestIn(line);
    const handler = handlers[request.verb] as (request: ControlRequest) => Promise<unknown>;
    return { ok: true, value: await handler(request) };
  } catch (error) {
    return { ok: false, code: error instanceof NexusError ? error.code : "INTERNAL", message: messageOf(error) };
  }
}

/** The request of a line; INVALID says what of it is none. */
function requestIn(line: string): ControlRequest {
  let verb: unknown;
  let given: unknown;
  try {
    given = JSON.parse(line);
    verb = (given as { verb?: unknown } | null)?.verb;
  } catch (cause) {
    throw new NexusError("INVALID", "a line to the supervisor is a JSON object", { cause });
  }
  if (typeof verb !== "string" || !Object.hasOwn(requests, verb))
    throw new NexusError(
      "INVALID",
      `the supervisor knows no verb ${JSON.stringify(verb)}; it may be of another version`,
    );
  const read = requests[verb as Verb].safeParse(given);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw new NexusError("INVALID", `${verb}: ${path.join(".")}: ${message}`);
}

/** Beyond what a call waits for by itself, a supervisor that is well answers within this, ms. */
export const answerMs = 15_000;

/** Nobody supervises the folder; with what was declared before, `up` needs no file. */
export function notUp(folder: Folder): string {
  const again = existsSync(folder.desired) ? `nexus up --dir ${folder.root}` : "nexus up -f FILE";
  return `no federation is up in ${folder.root}; start it with ${again}`;
}

/** Asks the folder's supervisor. Throws its refusal, ZONE_UNAVAILABLE when none is running, DEADLINE when it hangs. */
export function callSupervisor<R extends ControlRequest>(
  folder: Folder,
  request: R,
  timeoutMs = answerMs + (request.verb === "settle" ? request.timeoutMs : request.verb === "revoke" ? answerMs : 0),
): Promise<ControlAnswers[R["verb"]]> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(folder));
    socket.setTimeout(timeoutMs, () => {
      const text = `the supervisor of ${folder.root} did not answer within ${timeoutMs} ms; see ${folder.log("supervisor")}, or end it by its pid (in ${folder.claim})`;
      reject(new LocalError("DEADLINE", text));
      socket.destroy();
    });
    const fail = (cause?: unknown) => reject(new LocalError("ZONE_UNAVAILABLE", notUp(folder), { cause }));
    socket.once("error", fail);
    socket.once("close", fail);
    socket.once("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    eachLine(socket, async (line) => {
      const reply = JSON.parse(line) as ControlReply;
      if (reply.ok) resolve(reply.value as ControlAnswers[R["verb"]]);
      else reject(new LocalError(reply.code, reply.message));
      socket.destroy();
    });
  });
}

/** One line after the other, in order. */
function eachLine(socket: Socket, handle: (line: string) => Promise<void>): void {
  let rest = "";
  let turn = Promise.resolve();
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    rest += text;
    if (rest.length > lineBytesMax) return void socket.destroy();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") turn = turn.then(() => handle(line));
  });
}
