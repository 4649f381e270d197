import type { FileInfo, Listing } from "@nexus-federation/proto/records.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { joinPath, show } from "../tree/path.ts";
import type { ListOptions } from "./api.ts";
import { checkPath, findPlace, notFound } from "./directories.ts";
import { decodeEntry, type Entry, infoOf, rootEntry } from "./entry.ts";
import { wrongType } from "./files.ts";
import { after, binaryText, directoryPrefix, textOfBinary } from "./keys.ts";
import type { MachineState } from "./state.ts";

const listLimitMax = 1000;
/** Entries looked at for one page: a page may be short, even empty, and still have a next one. */
const scannedMax = 20_000;

/** One page of a directory's entries, in order of their names' UTF-8 bytes (recursive: depth first, parents first). */
export function listDirectory(state: MachineState, path: string, options: ListOptions): Listing | Refusal {
  const refused = checkPath(state, path);
  if (refused) return refused;
  const limit = options.limit || listLimitMax;
  if (limit < 0 || limit > listLimitMax) return refuse("INVALID", `limit: 1 to ${listLimitMax}, ${limit} came`);
  if (options.delimiter && !options.recursive) return refuse("INVALID", "delimiter: only a recursive listing has one");
  for (const field of ["prefix", "page"] as const) {
    if (options[field]?.isWellFormed() === false)
      return refuse("INVALID", `${field}: ${show(options[field])} is not valid Unicode`);
  }
  const place = findPlace(state, path);
  if (isRefusal(place)) return place;
  if (!place) return notFound(path);
  if (place.entry.type !== "directory") return wrongType(path, place.entry, "directory");
  const page = options.page ?? "";
  const rolled = options.delimiter && page.endsWith(options.delimiter) ? page : "";
  const walk: Walk = { state, root: path, options, limit, page: [], scanned: 0, last: "", rolled };
  const more = options.recursive ? deep(walk, place.entry.id, "", pageNames(options)) : flat(walk, place.entry.id);
  return { entries: walk.page, nextPage: more ? walk.last : "" };
}

interface Walk {
  state: MachineState;
  /** Zone path that is listed. */
  root: string;
  options: ListOptions;
  limit: number;
  page: FileInfo[];
  scanned: number;
  /** Where the next page goes on: the last name or relative path looked at. */
  last: string;
  /** The last rolled-up name: what starts with it was told already. */
  rolled: string;
}

/** True when the page ended before the directory did. */
function flat(walk: Walk, id: number): boolean {
  const { state, options, root } = walk;
  const start = directoryPrefix(id);
  const prefix = start + binaryText(options.prefix ?? "");
  const resume = options.page ? `${start}${binaryText(options.page)}\u0000` : prefix;
  const from = resume > prefix ? resume : prefix;
  for (const { key, value } of state.overlay.scan({ from, to: after(prefix), limit: walk.limit + 1 })) {
    if (walk.scanned++ >= walk.limit) return true;
    const name = textOfBinary(key.slice(start.length));
    const full = joinPath(root, name);
    if (state.owned.owns(full)) walk.page.push(infoOf(decodeEntry(value), full, state.generation));
    walk.last = name;
  }
  return false;
}

function pageNames(options: ListOptions): string[] {
  return options.page ? options.page.split("/") : [];
}

/** Depth first below `parent` (relative path, empty at the start), from the place that `names` lead to. */
function deep(walk: Walk, id: number, parent: string, names: readonly string[]): boolean {
  const { state, options } = walk;
  const start = directoryPrefix(id);
  const [first, ...rest] = names;
  const from = first === undefined ? start : start + binaryText(first);
  for (const { key, value } of state.overlay.scan({ from, to: after(start) })) {
    const name = textOfBinary(key.slice(start.length));
    const path = parent === "" ? name : `${parent}/${name}`;
    if (walk.page.length >= walk.limit || walk.scanned >= scannedMax) return true;
    const entry = decodeEntry(value);
    const resumed = name === first;
    if (!resumed) {
      walk.scanned++;
      tell(walk, path, entry);
      walk.last = walk.rolled !== "" && path.startsWith(walk.rolled) ? walk.rolled : path;
    }
    const useful = entry.type === "directory" && leadsTo(path, options.prefix ?? "");
    if (useful && deep(walk, entry.id, path, resumed ? rest : [])) return true;
  }
  return false;
}

/** Below a directory some path may start with `prefix`. */
function leadsTo(directory: string, prefix: string): boolean {
  return directory.startsWith(prefix) || prefix.startsWith(`${directory}/`);
}

function tell(walk: Walk, path: string, entry: Entry): void {
  const { state, options, root } = walk;
  const prefix = options.prefix ?? "";
  const full = joinPath(root, path);
  if (!path.startsWith(prefix) || !state.owned.owns(full)) return;
  if (!options.delimiter) {
    walk.page.push(infoOf(entry, full, state.generation));
    return;
  }
  const at = path.indexOf(options.delimiter, prefix.length);
  if (at < 0) {
    walk.page.push(infoOf(entry, full, state.generation));
    return;
  }
  const rolled = path.slice(0, at + options.delimiter.length);
  if (rolled === walk.rolled) return;
  walk.rolled = rolled;
  walk.page.push(rolledUp(state, joinPath(root, rolled), rolled));
}

/** A directory of which nothing but the name is told: no entry stands there. */
function rolledUp(state: MachineState, path: string, name: string): FileInfo {
  return { ...infoOf(rootEntry, path, state.generation), name };
}
