// put, get, ls, stat, rm, mkdir, mv, cp: files as people expect them, stdin and stdout included.
import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import { createReadStream, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseFence } from "@nexus-federation/node/base/fence.ts";
import { jsonFile, jsonReceipt } from "@nexus-federation/node/base/json.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { FileInfo } from "@nexus-federation/proto/records.ts";
import { type Command, Option } from "commander";
import { parseCount, parseDuration, UsageError } from "../durations.ts";
import { Progress } from "../progress.ts";
import { fileTable, oneLine } from "../show.ts";
import { receiptLine, type Tools, verb } from "../tools.ts";
import { folderPath, intoFolder } from "../tree-path.ts";
import { getFolder, putFile, putFolder, saveAs } from "./trees.ts";

/** Largest content that `get --json` puts into its object, bytes. */
const jsonContentBytesMax = 4 * 1024 * 1024;

interface WriteFlags {
  ifMatch?: string;
  ifNoneMatch?: boolean;
  fence?: string;
  lockPath?: string;
  minCopies?: string;
  writeConcern?: "authority" | "majority" | "all";
  requestId?: string;
  contentType?: string;
  meta?: string[];
  recursive?: boolean;
}
interface ReadFlags {
  maxStaleness?: string;
  readPreference?: "local" | "nearest" | "leader" | "authority";
  after?: string;
  output?: string;
  recursive?: boolean;
  receipt?: boolean;
}

const writeFlags = (command: Command) =>
  command
    .option("--if-match <etag>", "only if the file there has this etag (64 hex digits)")
    .option("--if-none-match", "only if nothing stands there")
    .option("--fence <fence>", "only while this fence holds the lock (see nexus lock)")
    .option("--lock-path <path>", "path of that lock when it is not the path written")
    .option("--min-copies <n>", "refuse unless so many full copies are durable at the answer")
    .addOption(new Option("--write-concern <concern>", "who must have it").choices(["authority", "majority", "all"]))
    .option("--request-id <hex>", "16 bytes in hex; the same id is applied once");

const readFlags = (command: Command) =>
  command
    .option("--max-staleness <duration>", "accept an answer that is provably at most this old")
    .addOption(
      new Option("--read-preference <who>", "who may answer").choices(["local", "nearest", "leader", "authority"]),
    )
    .option("--after <token>", "read your own writes: the token of an earlier receipt");

export function fileVerbs(program: Command): void {
  writeFlags(program.command("put <path> [source]"))
    .description("write a file from a local file, a folder (-r) or stdin (no source, or -)")
    .option("-r, --recursive", "a whole folder, several files at once")
    .option("--content-type <type>", "media type to store")
    .option("--meta <key=value...>", "user metadata")
    .action(verb(put));
  readFlags(program.command("get <path>"))
    .description(
      "write a file's content to stdout or --output; -r copies a subtree into a folder; with --json and no --output content of at most 4 MiB is in the object: as text, or else as base64",
    )
    .option(
      "-o, --output <file>",
      "local file (a folder takes it under its name); with -r a folder (default: one of its name, here)",
    )
    .option("-r, --recursive", "the whole subtree")
    .option("--receipt", "print the receipt to stderr")
    .action(verb(get));
  readFlags(program.command("ls [path]"))
    .description("entries of a directory")
    .option("-r, --recursive", "the whole subtree")
    .action(verb(list));
  readFlags(program.command("stat <path>"))
    .description("metadata of a path and the receipt of the answer")
    .action(verb(stat));
  writeFlags(program.command("rm <path>"))
    .description("delete a file or an empty directory")
    .option("-r, --recursive", "with everything below")
    .action(verb(remove));
  program
    .command("mkdir <path>")
    .description("make a directory")
    .option("-p, --parents", "and its parents; no error if it exists")
    .action(verb(makeDirectory));
  writeFlags(program.command("mv <from> <to>"))
    .description("rename within a zone")
    .option("-f, --force", "replace a file at the target")
    .action(verb(move));
  writeFlags(program.command("cp <from> <to>"))
    .description("copy a file within a zone")
    .option("-f, --force", "replace a file at the target")
    .action(verb(copy));
}

async function put(tools: Tools, given: string, source: string | undefined, flags: WriteFlags): Promise<void> {
  const options = { ...writeOptions(flags), contentType: flags.contentType, metadata: metadataOf(flags.meta) };
  const fromStdin = source === undefined || source === "-";
  const there = fromStdin ? undefined : statSync(source, { throwIfNoEntry: false });
  if (!fromStdin && there === undefined) throw new UsageError(`${source}: no such file`);
  if (flags.recursive) {
    if (fromStdin || !there?.isDirectory())
      throw new UsageError(`${fromStdin ? "stdin" : source}: put -r needs a local folder`);
    if (options.ifMatch ?? options.requestId)
      throw new UsageError("--if-match and --request-id are of one file; with -r there are many");
    return putFolder(tools, { path: folderPath(given), source: resolve(source), options });
  }
  if (there?.isDirectory()) throw new UsageError(`${source} is a folder; put -r ${given} ${source} writes it whole`);
  const path = intoFolder(given, fromStdin ? "" : basename(source));
  if (fromStdin && process.stdin.isTTY) process.stderr.write("reading from the terminal; Ctrl-D ends it\n");
  const progress = new Progress(path, there?.isFile() ? there.size : undefined);
  const onProgress = (bytes: number) => progress.at(bytes);
  // A pipe or device tells no size.
  const stream = fromStdin ? process.stdin : there?.isFile() ? undefined : createReadStream(source);
  const written = stream
    ? await tools.client.upload(path, stream, { ...options, onProgress })
    : await putFile(tools, { path, file: source!, options, onProgress });
  progress.end();
  tools.print(`${oneLine(path)}: ${receiptLine(written.receipt)}`, {
    file: written.info && jsonFile(written.info),
    receipt: jsonReceipt(written.receipt),
  });
}

async function get(tools: Tools, path: string, flags: ReadFlags): Promise<void> {
  const name = path === "/" ? "root" : basename(path);
  if (flags.recursive)
    return getFolder(tools, { path: folderPath(path), root: flags.output ?? name, options: readOptions(flags) });
  const output = flags.output === undefined ? undefined : fileAt(flags.output, name);
  const found = await tools.client.download(path, { ...readOptions(flags), onProgress: undefined });
  if (tools.json && output === undefined) {
    tools.print("", { ...(await contentJson(path, found)), receipt: jsonReceipt(found.receipt) });
    if (flags.receipt) process.stderr.write(`${receiptLine(found.receipt)}\n`);
    return;
  }
  const progress = new Progress(path, found.info.size);
  let moved = 0;
  async function* parts() {
    for await (const part of found.data) {
      yield part;
      moved += part.length;
      if (output) progress.at(moved);
    }
  }
  if (output) await saveAs(output, parts());
  else for await (const part of parts()) if (!process.stdout.write(part)) await once(process.stdout, "drain");
  progress.end();
  if (output) {
    tools.print(`${oneLine(output)}: ${moved} bytes, ${receiptLine(found.receipt)}`, {
      file: jsonFile(found.info),
      receipt: jsonReceipt(found.receipt),
    });
  }
  if (flags.receipt) process.stderr.write(`${receiptLine(found.receipt)}\n`);
}

/** The file with its content: as text where it is UTF-8, else as base64. */
async function contentJson(path: string, { info, data }: { info: FileInfo; data: AsyncIterable<Uint8Array> }) {
  if (info.size > jsonContentBytesMax) {
    const text = `${path}: ${info.size} bytes; --json holds at most ${jsonContentBytesMax} of content: give -o FILE`;
    throw new LocalError("TOO_LARGE", text);
  }
  const parts: Uint8Array[] = [];
  for await (const part of data) parts.push(part);
  const content = Buffer.concat(parts);
  const file = jsonFile(info);
  return isUtf8(content) ? { file, content: content.toString("utf8") } : { file, base64: content.toString("base64") };
}

/** A folder takes the file under its own name, as cp does. */
function fileAt(output: string, name: string): string {
  return statSync(output, { throwIfNoEntry: false })?.isDirectory() ? join(output, name) : output;
}

async function list(tools: Tools, given: string | undefined, flags: ReadFlags): Promise<void> {
  const path = folderPath(given ?? "/");
  const entries: FileInfo[] = [];
  let page = await tools.client.list(path, { ...readOptions(flags), recursive: flags.recursive });
  entries.push(...page.entries);
  while (page.nextPage) {
    page = await tools.client.list(path, {
      ...readOptions(flags),
      recursive: flags.recursive,
      page: page.nextPage,
    });
    entries.push(...page.entries);
  }
  tools.print(fileTable(entries, flags.recursive === true), {
    entries: entries.map(jsonFile),
    receipt: jsonReceipt(page.receipt),
  });
}

async function stat(tools: Tools, path: string, flags: ReadFlags): Promise<void> {
  const { info, receipt } = await tools.client.stat(folderPath(path), readOptions(flags));
  const file = jsonFile(info);
  const lines = Object.entries(file).map(
    ([key, value]) => `${key.padEnd(12)} ${typeof value === "object" ? JSON.stringify(value) : oneLine(`${value}`)}`,
  );
  tools.print([...lines, `${"receipt".padEnd(12)} ${receiptLine(receipt)}`].join("\n"), {
    file,
    receipt: jsonReceipt(receipt),
  });
}

async function remove(tools: Tools, given: string, flags: WriteFlags): Promise<void> {
  const path = flags.recursive ? folderPath(given) : given;
  const { receipt } = await tools.client.delete(path, { ...writeOptions(flags), recursive: flags.recursive });
  tools.print(`${oneLine(path)}: deleted, ${receiptLine(receipt)}`, { path, receipt: jsonReceipt(receipt) });
}

async function makeDirectory(tools: Tools, given: string, flags: { parents?: boolean }): Promise<void> {
  const path = folderPath(given);
  const { receipt } = await tools.client.mkdir(path, flags);
  tools.print(`${oneLine(path)}: ${receiptLine(receipt)}`, { path, receipt: jsonReceipt(receipt) });
}

async function move(tools: Tools, from: string, given: string, flags: WriteFlags & { force?: boolean }): Promise<void> {
  const to = intoFolder(given, basename(from));
  const { receipt } = await tools.client.move(from, to, { ...writeOptions(flags), replace: flags.force });
  tools.print(`${oneLine(from)} -> ${oneLine(to)}: ${receiptLine(receipt)}`, {
    from,
    to,
    receipt: jsonReceipt(receipt),
  });
}

async function copy(tools: Tools, from: string, given: string, flags: WriteFlags & { force?: boolean }): Promise<void> {
  const to = intoFolder(given, basename(from));
  const { receipt } = await tools.client.copy(from, to, { ...writeOptions(flags), replace: flags.force });
  tools.print(`${oneLine(from)} -> ${oneLine(to)}: ${receiptLine(receipt)}`, {
    from,
    to,
    receipt: jsonReceipt(receipt),
  });
}

export function writeOptions(flags: WriteFlags) {
  return {
    ifMatch: hex(flags.ifMatch, { name: "--if-match", bytes: 32 }),
    ifNoneMatch: flags.ifNoneMatch,
    fence: fenceOf(flags.fence),
    lockPath:
      flags.lockPath ??
      (flags.fence === undefined && process.env["NEXUS_FENCE"] ? process.env["NEXUS_LOCK_PATH"] : undefined),
    minCopies: flags.minCopies === undefined ? undefined : parseCount(flags.minCopies, "--min-copies"),
    writeConcern: flags.writeConcern,
    requestId: hex(flags.requestId?.replaceAll("-", ""), { name: "--request-id", bytes: 16 }),
  };
}

export function readOptions(flags: ReadFlags) {
  return {
    maxStalenessMs: flags.maxStaleness === undefined ? undefined : parseDuration(flags.maxStaleness, "--max-staleness"),
    readPreference: flags.readPreference,
    after: flags.after === undefined ? undefined : Buffer.from(flags.after, "base64url"),
  };
}

function hex(text: string | undefined, what: { name: string; bytes: number }): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const found = Buffer.from(text.replaceAll('"', ""), "hex");
  if (found.length !== what.bytes) throw new UsageError(`${what.name}: expected ${what.bytes} bytes in hex`);
  return found;
}

/** The one given, else that of the lock that this command runs under. */
function fenceOf(given: string | undefined): string | undefined {
  if (given !== undefined && parseFence(given) === undefined)
    throw new UsageError(`--fence: expected a fence as nexus lock gives it, got "${given}"`);
  return given ?? process.env["NEXUS_FENCE"];
}

function metadataOf(pairs: string[] | undefined): Record<string, string> {
  const split = (pair: string) => {
    const at = pair.indexOf("=");
    if (at <= 0) throw new UsageError(`--meta: expected key=value, got "${pair}"`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  };
  return Object.fromEntries((pairs ?? []).map(split));
}
