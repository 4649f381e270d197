import type { Operation } from "@nexus-federation/proto/command.ts";
import type { LockGrant } from "@nexus-federation/proto/records.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { fromHex, hexOf } from "../base/bytes.ts";
import { isRefusal, refuse } from "../base/errors.ts";
import { printFence } from "../base/fence.ts";
import { jsonReceipt } from "../base/json.ts";
import { defaultLimits } from "../machine/limits.ts";
import { jsonGrant, sendProblem } from "./http-answers.ts";
import type { Door } from "./http-context.ts";
import { addressBehind, queryText } from "./http-requests.ts";

const prefix = "/api/v1/locks";
const ttlMs = z.number().int().min(100).max(defaultLimits.lockTtlMsMax);
const acquireBody = z.strictObject({
  kind: z.enum(["mutex", "semaphore"]).default("mutex"),
  slots: z.number().int().min(1).max(defaultLimits.lockSlotsMax).default(1).describe("Holders of a semaphore."),
  ttlMs: ttlMs.default(30_000).describe("The lock ends so long after the last extension."),
  waitMs: z
    .number()
    .int()
    .min(0)
    .max(120_000)
    .default(0)
    .describe("Time to queue for it; 0 refuses with LOCKED when held."),
  owner: z.string().max(256).default("").describe("Label for status."),
});
const extendBody = z.strictObject({ lockId: z.string().max(128), ttlMs: ttlMs.default(30_000) });

export function lockRoutes(app: FastifyInstance, door: Door): void {
  const url = `${prefix}/*`;
  const tags = ["locks"];
  app.post(url, { schema: { summary: "Acquire a lock; the answer has its fence.", tags, body: acquireBody } }, (q, r) =>
    acquire(door, q, r),
  );
  app.put(url, { schema: { summary: "Extend a held lock.", tags, body: extendBody } }, (q, r) => extend(door, q, r));
  app.delete(url, { schema: { summary: "Release a lock; header Nexus-Lock-Id or ?lockId=.", tags } }, (q, r) =>
    release(door, q, r),
  );
  app.get(url, { schema: { summary: "Who holds a lock.", tags } }, (q, r) => inspect(door, q, r));
}

async function acquire(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const address = addressBehind(prefix, request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const { waitMs, ...body } = request.body as z.infer<typeof acquireBody>;
  const op: Operation["op"] = { $case: "acquire", value: { path: address.path, ...body, wait: waitMs > 0 } };
  if (waitMs > 0) request.headers["nexus-timeout"] = String(waitMs);
  const response = await door.ask(request, reply, { op: { $case: "mutate", value: { op } }, zone: address.zone });
  return response ? reply.status(201).send(jsonGrant(response)) : reply;
}

async function extend(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const body = request.body as z.infer<typeof extendBody>;
  return withLock(door, { request, reply, lockId: body.lockId }, (path, lockId) => ({
    $case: "extend",
    value: { path, lockId, ttlMs: body.ttlMs },
  }));
}

async function release(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const header = request.headers["nexus-lock-id"];
  const lockId = typeof header === "string" ? header : queryText(request, "lockId");
  return withLock(door, { request, reply, lockId }, (path, id) => ({ $case: "release", value: { path, lockId: id } }));
}

async function withLock(
  door: Door,
  at: { request: FastifyRequest; reply: FastifyReply; lockId: string },
  make: (path: string, lockId: Buffer) => Operation["op"],
) {
  const address = addressBehind(prefix, at.request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(at.reply, address);
  const lockId = fromHex(at.lockId);
  if (!lockId || lockId.length === 0)
    return sendProblem(at.reply, refuse("INVALID", "lockId: expected the hex id of the grant"));
  const op = make(address.path, Buffer.from(lockId));
  const response = await door.ask(at.request, at.reply, { op: { $case: "mutate", value: { op } }, zone: address.zone });
  if (!response) return at.reply;
  return response.result?.$case === "grant" ? at.reply.send(jsonGrant(response)) : at.reply.status(204).send();
}

async function inspect(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const address = addressBehind(prefix, request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const response = await door.ask(request, reply, {
    op: { $case: "inspectLock", value: { path: address.path } },
    zone: address.zone,
  });
  if (response?.result?.$case !== "lock") return reply;
  const { kind, slots, holders, owners, waiters } = response.result.value;
  const named = holders.map((grant, at) => ({ ...jsonHolder(grant), owner: owners[at] ?? "" }));
  return reply.send({
    kind,
    slots,
    holders: named,
    waiters,
    receipt: jsonReceipt(response.receipt),
  });
}

function jsonHolder(grant: LockGrant) {
  return { lockId: hexOf(grant.lockId), fence: printFence(grant.generation, grant.counter), ttlMs: grant.ttlMs };
}
