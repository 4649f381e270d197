// Listing, stat, metadata, and the operations on paths: move, copy, mkdir, batch.

import type { Operation, Precondition } from "@nexus-federation/proto/command.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { fromHex, noBytes } from "../base/bytes.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { jsonFile, jsonReceipt } from "../base/json.ts";
import { defaultLimits } from "../machine/limits.ts";
import { parseAddress } from "../tree/path.ts";
import { sendProblem } from "./http-answers.ts";
import type { Door } from "./http-context.ts";
import { addressBehind, conditionOf } from "./http-requests.ts";

const path = z.string().max(8192).describe("Federation path, or /zone:{id}/path.");
const listQuery = z.object({
  prefix: z.string().max(4096).optional().describe("Names must start with it."),
  delimiter: z.string().max(16).optional().describe("With recursive: roll up below the first one."),
  limit: z.coerce.number().int().min(1).max(1000).optional().describe("Entries a page."),
  page: z.string().max(11_000).optional().describe("nextPage of the page before."),
  recursive: z.enum(["true", "false"]).optional().describe("The whole subtree."),
});
const twoPaths = z.strictObject({
  from: path,
  to: path,
  replace: z.boolean().optional().describe("Replace a file at the target."),
});
const mkdirBody = z.strictObject({
  path,
  parents: z.boolean().optional().describe("Make missing parents; no error when it exists."),
});
const condition = z
  .strictObject({
    ifMatch: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    ifNoneMatch: z.literal("*").optional(),
    ifRevision: z.number().int().min(0).optional(),
  })
  .optional();
const operation = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("write"),
    path,
    content: z.base64(),
    contentType: z.string().max(255).optional(),
    metadata: z.record(z.string(), z.string()).optional(),
    condition,
  }),
  z.strictObject({ op: z.literal("delete"), path, recursive: z.boolean().optional(), condition }),
  z.strictObject({ op: z.literal("mkdir"), path, parents: z.boolean().optional() }),
  z.strictObject({ op: z.literal("move"), from: path, to: path, replace: z.boolean().optional(), condition }),
  z.strictObject({ op: z.literal("copy"), from: path, to: path, replace: z.boolean().optional(), condition }),
  z.strictObject({
    op: z.literal("metadata"),
    path,
    set: z.record(z.string(), z.string()).optional(),
    remove: z.array(z.string()).max(64).optional(),
    condition,
  }),
]);
const batchBody = z.strictObject({ operations: z.array(operation).min(1).max(defaultLimits.batchOperationsMax) });
const metadataBody = z.strictObject({
  set: z.record(z.string(), z.string()).optional(),
  remove: z.array(z.string()).max(64).optional(),
});
type JsonOperation = z.infer<typeof operation>;

export function treeRoutes(app: FastifyInstance, door: Door): void {
  app.get(
    "/api/v1/list/*",
    { schema: { summary: "Entries of a directory.", tags: ["tree"], querystring: listQuery } },
    (q, r) => list(door, q, r),
  );
  app.get("/api/v1/stat/*", { schema: { summary: "Metadata of a path.", tags: ["tree"] } }, (q, r) => stat(door, q, r));
  app.patch(
    "/api/v1/stat/*",
    { schema: { summary: "Change user metadata.", tags: ["tree"], body: metadataBody } },
    (q, r) => setMetadata(door, q, r),
  );
  app.post("/api/v1/move", { schema: { summary: "Rename within a zone.", tags: ["tree"], body: twoPaths } }, (q, r) =>
    moveOrCopy(door, q, r),
  );
  app.post(
    "/api/v1/copy",
    { schema: { summary: "Copy a file within a zone.", tags: ["tree"], body: twoPaths } },
    (q, r) => moveOrCopy(door, q, r),
  );
  app.post("/api/v1/mkdir", { schema: { summary: "Make a directory.", tags: ["tree"], body: mkdirBody } }, (q, r) => {
    const body = q.body as z.infer<typeof mkdirBody>;
    return change(door, { request: q, reply: r }, { op: "mkdir", ...body });
  });
  app.post(
    "/api/v1/batch",
    { schema: { summary: "Many operations of one zone, all or none.", tags: ["tree"], body: batchBody } },
    (q, r) => batch(door, q, r),
  );
}

async function list(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const address = addressBehind("/api/v1/list", request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const query = request.query as z.infer<typeof listQuery>;
  const value = {
    path: address.path,
    prefix: query.prefix ?? "",
    delimiter: query.delimiter ?? "",
    limit: query.limit ?? 1000,
    page: query.page ?? "",
    recursive: query.recursive === "true",
  };
  const response = await door.ask(request, reply, { op: { $case: "list", value }, zone: address.zone });
  if (response?.result?.$case !== "listing") return reply;
  const { entries, nextPage } = response.result.value;
  return reply.send({
    entries: entries.map(jsonFile),
    nextPage,
    receipt: jsonReceipt(response.receipt),
  });
}

async function stat(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const address = addressBehind("/api/v1/stat", request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const response = await door.ask(request, reply, {
    op: { $case: "stat", value: { path: address.path } },
    zone: address.zone,
  });
  if (response?.result?.$case !== "info") return reply;
  return reply.send({
    file: jsonFile(response.result.value),
    receipt: jsonReceipt(response.receipt),
  });
}

async function setMetadata(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const address = addressBehind("/api/v1/stat", request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const body = request.body as z.infer<typeof metadataBody>;
  return change(door, { request, reply, zone: address.zone }, { op: "metadata", path: address.path, ...body });
}

function moveOrCopy(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const body = request.body as z.infer<typeof twoPaths>;
  return change(door, { request, reply }, { op: request.url.endsWith("/move") ? "move" : "copy", ...body });
}

/** One operation of a JSON body; conditions come from the headers. */
async function change(
  door: Door,
  at: { request: FastifyRequest; reply: FastifyReply; zone?: string | undefined },
  what: JsonOperation,
) {
  const headers = conditionOf(at.request.headers);
  if (isRefusal(headers)) return sendProblem(at.reply, headers);
  const made = operationOf(what, headers);
  if (isRefusal(made)) return sendProblem(at.reply, made);
  const response = await door.ask(at.request, at.reply, {
    op: { $case: "mutate", value: made.operation },
    zone: at.zone ?? made.zone,
  });
  if (response?.result?.$case !== "operation") return at.reply;
  const { info } = response.result.value;
  return at.reply.send({ file: info && jsonFile(info), receipt: jsonReceipt(response.receipt) });
}

async function batch(door: Door, request: FastifyRequest, reply: FastifyReply) {
  const operations: Operation[] = [];
  let zone: string | undefined;
  for (const [index, one] of (request.body as z.infer<typeof batchBody>).operations.entries()) {
    const made = operationOf(one, undefined);
    if (isRefusal(made)) return sendProblem(reply, { ...made, message: `operations[${index}]: ${made.message}` });
    operations.push(made.operation);
    zone ??= made.zone;
  }
  const op = { $case: "batch" as const, value: { operations } };
  const response = await door.ask(request, reply, { op: { $case: "mutate", value: { op } }, zone });
  if (response?.result?.$case !== "batch") return reply;
  const results = response.result.value.results.map(({ info, existed }) => ({ file: info && jsonFile(info), existed }));
  return reply.send({ results, receipt: jsonReceipt(response.receipt) });
}

/** The operation with its paths taken out of zone addresses. */
function operationOf(
  what: JsonOperation,
  headers: Precondition | undefined,
): { operation: Operation; zone: string | undefined } | Refusal {
  const first = parseAddress("path" in what ? what.path : what.from);
  if (isRefusal(first)) return first;
  const second = "to" in what ? parseAddress(what.to) : undefined;
  if (second && isRefusal(second)) return second;
  if (second && second.zone !== first.zone)
    return refuse("INVALID", "from and to: they lie in different zones; copy and delete instead");
  const rule = headers ?? ("condition" in what ? preconditionOf(what.condition) : undefined);
  return { operation: { op: innerOf(what, { path: first.path, to: second?.path ?? "", rule }) }, zone: first.zone };
}

function innerOf(
  what: JsonOperation,
  at: { path: string; to: string; rule: Precondition | undefined },
): Operation["op"] {
  const { path, to, rule } = at;
  switch (what.op) {
    case "write": {
      const content = Buffer.from(what.content, "base64");
      const { contentType = "", metadata = {} } = what;
      const value = {
        path,
        content,
        chunks: [],
        size: content.length,
        etag: noBytes as Buffer,
        contentType,
        metadata,
        condition: rule,
        uploadIndex: 0,
      };
      return { $case: "write", value };
    }
    case "delete":
      return { $case: "delete", value: { path, recursive: what.recursive ?? false, condition: rule } };
    case "mkdir":
      return { $case: "mkdir", value: { path, parents: what.parents ?? false } };
    case "move":
      return { $case: "rename", value: { from: path, to, condition: rule, replace: what.replace ?? false } };
    case "copy":
      return { $case: "copy", value: { from: path, to, condition: rule, replace: what.replace ?? false } };
    case "metadata":
      return {
        $case: "setMetadata",
        value: { path, set: what.set ?? {}, remove: what.remove ?? [], condition: rule, contentType: "" },
      };
  }
}

function preconditionOf(given: z.infer<typeof condition>): Precondition | undefined {
  if (!given) return undefined;
  return {
    ifMatch: Buffer.from(fromHex(given.ifMatch ?? "") ?? noBytes),
    ifNoneMatch: given.ifNoneMatch === "*",
    ifRevision: given.ifRevision,
    fenceCounter: 0,
    fenceGeneration: 0,
    lockPath: "",
    ifExists: false,
  };
}
