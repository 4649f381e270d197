// put -r and get -r: whole trees, several files at once, with a limit on everything.
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
} from "node:fs";
import { join, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { inlineBytesMax } from "@nexus-federation/node/client/operations.ts";
import type { PutOptions, ReadOptions, Written } from "@nexus-federation/node/client/types.ts";
import { UsageError } from "../durations.ts";
import { PartialFile } from "../partial-file.ts";
import { Progress } from "../progress.ts";
import { countOf, oneLine } from "../show.ts";
import { systemSentence, type Tools } from "../tools.ts";

/** Files under way at once. */
const transfersMax = 8;
const readBytes = 256 * 1024;

/** One local regular file as one file of the tree. */
export function putFile(
  tools: Tools,
  what: { path: string; file: string; options: PutOptions; onProgress?: (bytes: number) => void },
): Promise<Written> {
  const { path, file, options, onProgress } = what;
  const { size } = statSync(file);
  if (size <= inlineBytesMax) return tools.client.put(path, readFileSync(file), options);
  const stream = createReadStream(file, { highWaterMark: readBytes });
  return tools.client.upload(path, stream, { ...options, size, onProgress });
}

export async function putFolder(
  tools: Tools,
  what: { path: string; source: string; options: PutOptions },
): Promise<void> {
  const { path, source, options } = what;
  const { files, empty, skipped } = filesBelow(source);
  const progress = new Progress(path, files.length, "files");
  const at = (name: string) => `${path === "/" ? "" : path}/${name.split(sep).join("/")}`;
  let done = 0;
  const outcome = await eachOf(files, async (name) => {
    await putFile(tools, { path: at(name), file: join(source, name), options });
    progress.at(++done);
  });
  for (const name of empty) if (!outcome) await tools.client.mkdir(at(name), { parents: true });
  if (files.length === 0 && empty.length === 0) await tools.client.mkdir(path, { parents: true });
  progress.end();
  for (const name of skipped) process.stderr.write(`${join(source, name)}: skipped, it is no regular file or folder\n`);
  if (outcome) throw stopped(outcome, { at: at(outcome.item), done, of: files.length, verb: "written" });
  tools.print(`${oneLine(path)}: ${countOf(files.length, "file")} written`, { path, files: files.length, skipped });
}

/** Relative names, sorted. Links are followed to files, not to folders (a circle would never end). */
function filesBelow(root: string): { files: string[]; empty: string[]; skipped: string[] } {
  const files: string[] = [];
  const empty: string[] = [];
  const skipped: string[] = [];
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    if (entries.length === 0 && folder !== "") empty.push(folder);
    for (const entry of entries) {
      const name = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(name);
      else if (entry.isFile() || (entry.isSymbolicLink() && isFile(join(root, name)))) files.push(name);
      else skipped.push(name);
    }
  }
  return { files: files.sort(), empty: empty.sort(), skipped: skipped.sort() };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

export async function getFolder(
  tools: Tools,
  what: { path: string; root: string; options: ReadOptions },
): Promise<void> {
  const { path, root, options } = what;
  if (existsSync(root) && !statSync(root).isDirectory())
    throw new UsageError(`${root}: is a file; get -r writes a folder (-o FOLDER)`);
  const progress = new Progress(path, undefined, "files");
  let done = 0;
  const entries = tools.client.entries(path, { ...options, recursive: true });
  const outcome = await eachOf(entries, async (entry) => {
    if (entry.type !== "file" && entry.type !== "directory") return;
    const target = join(root, entry.path.slice(path === "/" ? 1 : path.length + 1));
    if (!resolve(target).startsWith(`${resolve(root)}${sep}`))
      throw new NexusError("INVALID", `${entry.path}: would be written outside of ${root}`);
    mkdirSync(entry.type === "directory" ? target : join(target, ".."), { recursive: true });
    if (entry.type === "directory") return;
    await saveAs(target, (await tools.client.download(entry.path, options)).data);
    progress.at(++done);
  });
  progress.end();
  if (outcome) throw stopped(outcome, { at: outcome.item?.path ?? path, done, of: undefined, verb: "read" });
  mkdirSync(root, { recursive: true });
  tools.print(`${oneLine(root)}: ${countOf(done, "file")}`, { folder: root, files: done });
}

/** The file is there under its name only when it is whole. */
export async function saveAs(file: string, parts: AsyncIterable<Uint8Array>): Promise<void> {
  if (existsSync(file) && !statSync(file).isFile()) return pipeline(parts, createWriteStream(file));
  const partial = await PartialFile.open(file);
  try {
    await pipeline(parts, partial.out);
    await partial.replace();
  } catch (error) {
    partial.drop();
    throw error;
  }
}

interface Stopped<Item> {
  item: Item;
  error: unknown;
}

/** Acts on a few items at once; after the first failure no more are begun. Undefined when all went well. */
async function eachOf<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  act: (item: Item) => Promise<void>,
): Promise<Stopped<Item> | undefined> {
  const underway = new Set<Promise<void>>();
  let failed: Stopped<Item> | undefined;
  let last: Item | undefined;
  try {
    for await (const item of items) {
      last = item;
      const one = act(item)
        .catch((error) => {
          failed ??= { item, error };
        })
        .finally(() => underway.delete(one));
      underway.add(one);
      if (underway.size >= transfersMax) await Promise.race(underway);
      if (failed) break;
    }
  } catch (error) {
    failed ??= { item: last as Item, error };
  }
  await Promise.all(underway);
  return failed;
}

function stopped(
  { error }: { error: unknown },
  how: { at: string; done: number; of: number | undefined; verb: string },
): Error {
  const of = how.of === undefined ? "" : ` of ${how.of}`;
  const tail = how.done === 0 ? "" : ` (${how.done}${of} files were ${how.verb})`;
  if (error instanceof NexusError) {
    const message = error.message.includes(how.at) ? error.message : `${how.at}: ${error.message}`;
    return new NexusError(error.code, `${message}${tail}`, { cause: error, refusal: { ...error.refusal, message } });
  }
  return new Error(`${systemSentence(error) ?? `${how.at}: ${messageOf(error)}`}${tail}`, { cause: error });
}
