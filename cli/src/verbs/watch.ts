import { readFileSync } from "node:fs";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import * as operations from "@nexus-federation/node/client/operations.ts";
import type { Operation } from "@nexus-federation/proto/command.ts";
import type { Command } from "commander";
import { z } from "zod";
import { jsonFile, jsonReceipt } from "../show.ts";
import { receiptLine, type Tools, UsageError, verb } from "../tools.ts";

export function watchVerbs(program: Command): void {
  program
    .command("watch <path>")
    .description("print changes at and below a path as they happen; Ctrl-C ends it")
    .option("--after <token>", "resume behind this token of an earlier change")
    .action(verb(watch));
  program
    .command("batch [file]")
    .description(
      'apply a JSON list of operations of one zone, all or none (file, or stdin): [{"op":"write","path":…,"content":…}, …]',
    )
    .action(verb(batch));
}

async function watch(tools: Tools, path: string, flags: { after?: string }): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  for await (const { token, events } of tools.client.watch(path, { after: flags.after, signal: stop.signal })) {
    for (const event of events) {
      const from = event.fromPath ? `${event.fromPath} -> ` : "";
      const file = event.info && jsonFile(event.info);
      tools.print(`${new Date(event.logTimeMs).toISOString()}  ${event.kind.padEnd(17)} ${from}${event.path}`, {
        ...event,
        info: undefined,
        file,
        token,
      });
    }
  }
}

const path = z.string();
const operation = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("write"),
    path,
    content: z.string().optional(),
    base64: z.base64().optional(),
    file: z.string().optional(),
    contentType: z.string().optional(),
  }),
  z.strictObject({ op: z.literal("delete"), path, recursive: z.boolean().optional() }),
  z.strictObject({ op: z.literal("mkdir"), path, parents: z.boolean().optional() }),
  z.strictObject({ op: z.literal("move"), from: path, to: path, replace: z.boolean().optional() }),
  z.strictObject({ op: z.literal("copy"), from: path, to: path, replace: z.boolean().optional() }),
]);

function readInput(file: string | 0): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UsageError(`batch: ${file === 0 ? "stdin" : file} cannot be read (${messageOf(cause)})`);
  }
}

async function batch(tools: Tools, file: string | undefined): Promise<void> {
  const text = readInput(file === undefined || file === "-" ? 0 : file).toString("utf8");
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`batch: expected JSON (${(cause as Error).message})`);
  }
  const parsed = z.array(operation).min(1).max(4096).safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new NexusError(
      "INVALID",
      `operations${issue.path.map((part) => `[${String(part)}]`).join("")}: ${issue.message}`,
    );
  }
  const { receipt, results } = await tools.client.batch(parsed.data.map(toOperation));
  tools.print(`${results.length} operations applied, ${receiptLine(receipt)}`, {
    results: results.map(({ info }) => info && jsonFile(info)),
    receipt: jsonReceipt(receipt),
  });
}

function toOperation(what: z.infer<typeof operation>): Operation {
  switch (what.op) {
    case "write": {
      const content = what.file
        ? readInput(what.file)
        : Buffer.from(what.base64 ?? what.content ?? "", what.base64 ? "base64" : "utf8");
      return operations.write(what.path, content, { contentType: what.contentType });
    }
    case "delete":
      return operations.remove(what.path, what);
    case "mkdir":
      return operations.mkdir(what.path, what);
    case "move":
      return operations.rename(what, what);
    case "copy":
      return operations.copy(what, what);
  }
}
