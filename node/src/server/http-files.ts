// PUT, GET, HEAD and DELETE of file content, streamed both ways.
import { Readable } from "node:stream";
import type { WriteFile } from "@nexus-federation/proto/command.ts";
import type { DownloadFrame } from "@nexus-federation/proto/files.ts";
import type { FileInfo, ReadResult } from "@nexus-federation/proto/records.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { equalBytes, hexOf, noBytes } from "../base/bytes.ts";
import { isRefusal, NexusError, refuse } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { jsonFile, jsonReceipt, revisionText } from "../base/json.ts";
import { defaultBoxLimits } from "../box/limits.ts";
import type { Address } from "../tree/path.ts";
import { refusalOf, sendProblem, setReceipt } from "./http-answers.ts";
import type { Door } from "./http-context.ts";
import {
  addressBehind,
  type ByteRange,
  conditionOf,
  etagListed,
  metadataOf,
  optionsOf,
  queryText,
  rangeOf,
} from "./http-requests.ts";

const prefix = "/api/v1/files";

export function fileRoutes(app: FastifyInstance, door: Door): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    const url = `${prefix}/*`;
    scope.put(url, { schema: { summary: "Write a file.", tags: ["files"] } }, (request, reply) =>
      put(door, request, reply),
    );
    scope.get(url, { schema: { summary: "Read a file, whole or a Range.", tags: ["files"] } }, (request, reply) =>
      get(door, request, reply),
    );
    scope.head(url, { schema: { hide: true } }, (request, reply) => get(door, request, reply));
    scope.delete(
      url,
      { schema: { summary: "Delete a file or an empty directory; ?recursive=true.", tags: ["files"] } },
      (request, reply) => remove(door, request, reply),
    );
  });
}

async function put(door: Door, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const address = addressBehind(prefix, request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const condition = conditionOf(request.headers);
  if (isRefusal(condition)) return sendProblem(reply, condition);
  const declared = Number(request.headers["content-length"] ?? Number.NaN);
  const write: WriteFile = {
    path: address.path,
    content: noBytes as Buffer,
    chunks: [],
    size: Number.isSafeInteger(declared) ? declared : 0,
    etag: noBytes as Buffer,
    contentType: request.headers["content-type"] ?? "",
    metadata: metadataOf(request.headers),
    condition,
    uploadIndex: 0,
  };
  const body = request.body as Readable | undefined;
  if (body === undefined || declared <= defaultBoxLimits.inlineBytesMax) {
    const content = body === undefined ? Buffer.alloc(0) : await collect(body);
    if (Number.isSafeInteger(declared) && content.length !== declared) return reply;
    const op = { $case: "write" as const, value: { ...write, content, size: content.length } };
    const response = await door.ask(request, reply, { op: { $case: "mutate", value: { op } }, zone: address.zone });
    return response ? sendWritten(reply, response) : reply;
  }
  return putStream(door, { request, reply, address, write, body });
}

interface StreamedPut {
  request: FastifyRequest;
  reply: FastifyReply;
  address: Address;
  write: WriteFile;
  body: Readable;
}

async function putStream(door: Door, { request, reply, address, write, body }: StreamedPut): Promise<FastifyReply> {
  const options = optionsOf(request.headers, request.caller);
  if (isRefusal(options)) return sendProblem(reply, options);
  const upload = door.box.upload({ options, write, zone: address.zone ?? "" }, request.caller);
  try {
    // A body left before its end would otherwise be destroyed with its connection, and the answer lost.
    for await (const part of body.iterator({ destroyOnReturn: false })) {
      const refusal = await upload.write(part as Buffer);
      if (refusal === undefined) continue;
      upload.abort();
      body.resume();
      return sendProblem(reply, refusal);
    }
  } catch {
    upload.abort();
    return reply;
  }
  const response = await upload.finish();
  setReceipt(reply, response);
  const refusal = refusalOf(response);
  return refusal ? sendProblem(reply, refusal) : sendWritten(reply, response);
}

function sendWritten(reply: FastifyReply, response: Parameters<typeof refusalOf>[0]): FastifyReply {
  if (response.result?.$case !== "operation")
    return sendProblem(reply, refuse("INTERNAL", "the box gave another kind of answer"));
  const { info, existed } = response.result.value;
  if (info) setValidators(reply, info);
  return reply
    .status(existed ? 200 : 201)
    .send({ file: info && jsonFile(info), receipt: jsonReceipt(response.receipt) });
}

async function get(door: Door, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const address = addressBehind(prefix, request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const isHead = request.method === "HEAD";
  const read = { $case: "read" as const, value: { path: address.path, infoOnly: isHead } };
  const response = await door.ask(request, reply, { op: read, zone: address.zone });
  if (!response) return reply;
  if (response.result?.$case !== "read" || !response.result.value.info) {
    return sendProblem(reply, refuse("INTERNAL", "the box gave another kind of answer"));
  }
  const { info } = response.result.value;
  setEntity(reply, info);
  const { headers } = request;
  const wanted = headers["if-match"];
  if (wanted !== undefined && !etagListed(wanted, info.etag, false))
    return sendProblem(reply, refuse("PRECONDITION_FAILED", "header if-match: the file has another etag"));
  const known = headers["if-none-match"];
  if (known !== undefined && etagListed(known, info.etag, true)) return reply.status(304).send();
  const ifRange = headers["if-range"];
  const sameAsBefore = typeof ifRange !== "string" || etagListed(ifRange, info.etag, false);
  const range = sameAsBefore ? rangeOf(headers.range, info.size) : undefined;
  if (range === "unsatisfiable") {
    reply.header("content-range", `bytes */${info.size}`);
    return sendProblem(reply, refuse("INVALID", `header range: the file has ${info.size} bytes`), 416);
  }
  if (range)
    reply.status(206).header("content-range", `bytes ${range.offset}-${range.offset + range.length - 1}/${info.size}`);
  const length = range?.length ?? info.size;
  reply.header("content-length", length);
  if (isHead) return reply.send();
  return sendContent(door, {
    request,
    reply,
    address,
    read: response.result.value as ReadResult & { info: FileInfo },
    range,
  });
}

interface ContentAnswer {
  request: FastifyRequest;
  reply: FastifyReply;
  address: Address;
  read: ReadResult & { info: FileInfo };
  range: ByteRange | undefined;
}

async function sendContent(door: Door, { request, reply, address, read, range }: ContentAnswer): Promise<FastifyReply> {
  if (read.info.chunks.length === 0) {
    const content = range ? read.content.subarray(range.offset, range.offset + range.length) : read.content;
    return reply.send(content);
  }
  const options = optionsOf(request.headers, request.caller);
  if (isRefusal(options)) return sendProblem(reply, options);
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  const wanted = {
    options,
    path: address.path,
    offset: range?.offset ?? 0,
    length: range?.length,
    zone: address.zone ?? "",
  };
  const frames = door.box.download(wanted, request.caller, gone.signal);
  return reply.send(Readable.from(contentOf(frames, read.info), { objectMode: false, highWaterMark: 512 * 1024 }));
}

/** The bytes behind the head; a file replaced between head and content breaks the connection instead of mixing two. */
async function* contentOf(frames: AsyncIterable<DownloadFrame>, info: FileInfo): AsyncIterable<Uint8Array> {
  for await (const frame of frames) {
    const result = frame.head?.result;
    if (result?.$case === "failure") {
      const refusal = refusalOfFailure(result.value);
      throw new NexusError(refusal.code, refusal.message, { refusal });
    }
    if (result?.$case === "read" && !equalBytes(result.value.info?.etag ?? noBytes, info.etag))
      throw new NexusError("PRECONDITION_FAILED", "The file was replaced while it was read: read it again.");
    if (frame.data.length > 0) yield frame.data;
  }
}

async function remove(door: Door, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const address = addressBehind(prefix, request.raw.url ?? "/");
  if (isRefusal(address)) return sendProblem(reply, address);
  const condition = conditionOf(request.headers);
  if (isRefusal(condition)) return sendProblem(reply, condition);
  const recursive = queryText(request, "recursive") === "true";
  const op = { $case: "delete" as const, value: { path: address.path, recursive, condition } };
  const response = await door.ask(request, reply, { op: { $case: "mutate", value: { op } }, zone: address.zone });
  return response ? reply.status(204).send() : reply;
}

function setValidators(reply: FastifyReply, info: FileInfo): void {
  if (info.etag.length > 0) reply.header("etag", `"${hexOf(info.etag)}"`);
  reply.header("last-modified", new Date(info.modifiedMs).toUTCString());
  reply.header("nexus-revision", revisionText(info.generation, info.revision));
}

function setEntity(reply: FastifyReply, info: FileInfo): void {
  setValidators(reply, info);
  reply.header("content-type", info.contentType || "application/octet-stream");
  reply.header("accept-ranges", "bytes");
  for (const [key, value] of Object.entries(info.metadata)) {
    if (/^[a-z0-9-]+$/.test(key) && /^[\x20-\x7e]*$/.test(value)) reply.header(`nexus-meta-${key}`, value);
  }
}

async function collect(body: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
