// nexus batch: operations of one zone, all or none, from a JSON list or one JSON object a line.
import { readFileSync } from "node:fs";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { jsonFile, jsonReceipt } from "@nexus-federation/node/base/json.ts";
import * as operations from "@nexus-federation/node/client/operations.ts";
import { defaultLimits } from "@nexus-federation/node/machine/limits.ts";
import type { Operation } from "@nexus-federation/proto/command.ts";
import type { Command } from "commander";
import { z } from "zod";
import { UsageError } from "../durations.ts";
import { readStdin } from "../input.ts";
import { countOf } from "../show.ts";
import { receiptLine, systemSentence, type Tools, verb } from "../tools.ts";

/** As the state machine takes them; more are refused before anything is sent. */
const operationsMax = defaultLimits.batchOperationsMax;

export const batchFormat = `One JSON object a line, or one JSON list of them; all of one zone, at most ${operationsMax} and 4 MiB:
  {"op":"write","path":"/a/x","content":"text"}       or "base64":"…", or "file":"local.bin"; "contentType", "metadata":{…}
  {"op":"metadata","path":"/a/x","set":{"k":"v"},"remove":["old"],"contentType":"text/plain"}
  {"op":"mkdir","path":"/a/d","parents":true}
  {"op":"move","from":"/a/x","to":"/a/y","replace":true}
  {"op":"copy","from":"/a/y","to":"/a/z","replace":true}
  {"op":"delete","path":"/a/old","recursive":true}
Each but mkdir takes conditions; when one does not hold, nothing is changed:
  "ifMatch":"<etag>"  "ifNoneMatch":true  "ifRevision":42  "fence":"<fence>"  "lockPath":"/jobs/a"`;

export function batchVerbs(program: Command): void {
  program
    .command("batch [file]")
    .description("apply operations of one zone, all or none, from a file or stdin (see nexus batch --help)")
    .addHelpText("after", `\n${batchFormat}`)
    .action(verb(batch));
}

const path = z.string();
const conditions = {
  ifMatch: z
    .string()
    .regex(/^"?[0-9a-fA-F]{64}"?$/, "expected an etag (64 hex digits)")
    .optional(),
  ifNoneMatch: z.boolean().optional(),
  ifRevision: z.int().min(0).optional(),
  fence: z.string().optional(),
  lockPath: path.optional(),
};
/** A record drops the key "__proto__" without a word. */
const metadata = z
  .unknown()
  .refine((value) => !(value instanceof Object && Object.hasOwn(value, "__proto__")), '"__proto__" cannot be a key')
  .pipe(z.record(z.string(), z.string()));
const operation = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("write"),
    path,
    content: z.string().optional(),
    base64: z.base64().optional(),
    file: z.string().optional(),
    contentType: z.string().optional(),
    metadata: metadata.optional(),
    ...conditions,
  }),
  z.strictObject({
    op: z.literal("metadata"),
    path,
    set: metadata.optional(),
    remove: z.array(z.string()).optional(),
    contentType: z.string().optional(),
    ...conditions,
  }),
  z.strictObject({ op: z.literal("delete"), path, recursive: z.boolean().optional(), ...conditions }),
  z.strictObject({ op: z.literal("mkdir"), path, parents: z.boolean().optional() }),
  z.strictObject({ op: z.literal("move"), from: path, to: path, replace: z.boolean().optional(), ...conditions }),
  z.strictObject({ op: z.literal("copy"), from: path, to: path, replace: z.boolean().optional(), ...conditions }),
]);
type Given = z.infer<typeof operation>;

async function batch(tools: Tools, file: string | undefined): Promise<void> {
  const input = file === undefined || file === "-" ? await readStdin() : readInput(file);
  const given = readOperations(input.toString("utf8"));
  const { receipt, results } = await tools.client.batch(given.map(toOperation));
  tools.print(`${countOf(results.length, "operation")} applied, ${receiptLine(receipt)}`, {
    results: results.map(({ info }) => info && jsonFile(info)),
    receipt: jsonReceipt(receipt),
  });
}

/** The operations of a JSON list, or of lines with one object each. */
export function readOperations(text: string): Given[] {
  const values = text.trimStart().startsWith("[") ? listOf(text) : linesOf(text);
  if (values.length === 0) throw new UsageError("batch: no operation came; one JSON object a line is expected");
  if (values.length > operationsMax)
    throw new NexusError("TOO_LARGE", `${values.length} operations; one batch has at most ${operationsMax}`);
  return values.map(({ value, place }) => {
    const parsed = operation.safeParse(value);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0]!;
    const field = issue.path.map((part) => `.${String(part)}`).join("");
    throw new NexusError("INVALID", `${place}${field}: ${issue.message}`);
  });
}

interface Read {
  value: unknown;
  /** For messages: "line 3" or "operations[2]". */
  place: string;
}

function listOf(text: string): Read[] {
  const list = parse(text, "") as unknown[];
  return list.map((value, at) => ({ value, place: `operations[${at}]` }));
}

function linesOf(text: string): Read[] {
  const lines = text.split("\n").map((line, at) => ({ line: line.trim(), place: `line ${at + 1}` }));
  const whole = lines.filter(({ line }) => line !== "");
  return whole.map(({ line, place }) => ({ value: parse(line, `${place}: `), place }));
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`batch: ${place}expected JSON (${(cause as Error).message})`);
  }
}

function readInput(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UsageError(`batch: ${file} cannot be read (${systemSentence(cause) ?? messageOf(cause)})`);
  }
}

function toOperation(given: Given): Operation {
  if (given.op === "mkdir") return operations.mkdir(given.path, given);
  const { ifMatch, ...rest } = given;
  const options = { ...rest, ...(ifMatch ? { ifMatch: Buffer.from(ifMatch.replaceAll('"', ""), "hex") } : {}) };
  switch (given.op) {
    case "write": {
      const content = given.file
        ? readInput(given.file)
        : Buffer.from(given.base64 ?? given.content ?? "", given.base64 ? "base64" : "utf8");
      return operations.write(given.path, content, options);
    }
    case "metadata":
      return operations.setMetadata(given.path, given, options);
    case "delete":
      return operations.remove(given.path, options);
    case "move":
      return operations.rename(given, options);
    case "copy":
      return operations.copy(given, options);
  }
}
