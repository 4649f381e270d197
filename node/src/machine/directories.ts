import { noBytes } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { joinPath, nameOf, parentOf, pathProblem, segmentsOf, show } from "../tree/path.ts";
import { decodeEntry, type Entry, encodedIn, noMetadata, rootEntry } from "./entry.ts";
import { after, binaryText, directoryPrefix } from "./keys.ts";
import type { DirectoryRef, MachineState } from "./state.ts";

const rootDirectory: DirectoryRef = { id: rootEntry.id, prefix: directoryPrefix(rootEntry.id) };

/** The directory at `path`; undefined when nothing stands there; WRONG_TYPE when something else stands on the way. */
export function findDirectory(state: MachineState, path: string): DirectoryRef | Refusal | undefined {
  if (path.length === 1) return rootDirectory;
  const known = state.directories.get(path);
  if (known) return known;
  let at = rootDirectory;
  let walked = "";
  for (const name of segmentsOf(path)) {
    walked += `/${name}`;
    const bytes = state.overlay.get(at.prefix + binaryText(name));
    if (!bytes) return undefined;
    const entry = decodeEntry(bytes);
    if (entry.type !== "directory")
      return refuse("WRONG_TYPE", `${show(walked)} is a ${entry.type}, a directory is expected`);
    at = refOf(entry.id);
  }
  remember(state, path, at);
  return at;
}

/** The directory at `path`, made with its parents where missing. */
export function makeDirectories(state: MachineState, path: string): DirectoryRef | Refusal {
  const found = findDirectory(state, path);
  if (found) return found;
  let at = rootDirectory;
  let walked = "/";
  for (const name of segmentsOf(path)) {
    walked = joinPath(walked, name);
    const key = at.prefix + binaryText(name);
    const bytes = state.overlay.get(key);
    if (bytes) {
      at = refOf(decodeEntry(bytes).id);
      continue;
    }
    if (++state.touched > state.limits.commandEntriesMax) return tooMany(state);
    const entry = newEntry(state, "directory");
    state.emit("directory-created", walked, state.putEntry(key, entry));
    at = refOf(entry.id);
  }
  remember(state, path, at);
  return at;
}

export function tooMany(state: MachineState): Refusal {
  const most = state.limits.commandEntriesMax;
  return refuse("TOO_LARGE", `more than ${most} entries would be made or removed by one command; do it in parts`, {
    details: { count: String(state.touched), limit: String(most) },
  });
}

function refOf(id: number): DirectoryRef {
  return { id, prefix: directoryPrefix(id) };
}

function remember(state: MachineState, path: string, directory: DirectoryRef): void {
  if (state.directories.size >= state.limits.directoryCacheMax) state.directories.clear();
  state.directories.set(path, directory);
}

export function newEntry(state: MachineState, type: Entry["type"]): Entry {
  return {
    type,
    id: state.counters.nextId++,
    revision: state.index,
    createdMs: state.logTimeMs,
    modifiedMs: state.logTimeMs,
    size: 0,
    etag: noBytes,
    contentType: "",
    chunked: false,
    beside: false,
    metadata: noMetadata,
    target: "",
  };
}

/** A name and what stands under it. */
export interface Place {
  path: string;
  /** Key of the entry; empty for the root. */
  key: string;
  entry: Entry;
  /** The entry as events and answers have it. */
  bytes: Uint8Array;
  /** The entry as stored, perhaps with its content. */
  row: Uint8Array;
}

/** What stands at `path`; undefined when nothing. */
export function findPlace(state: MachineState, path: string): Place | Refusal | undefined {
  if (path.length === 1) return { path, key: "", entry: rootEntry, bytes: noBytes, row: noBytes };
  const parent = findDirectory(state, parentOf(path));
  if (parent === undefined || "code" in parent) return parent;
  const key = parent.prefix + binaryText(nameOf(path));
  const row = state.overlay.get(key);
  return row && placeOf({ path, key, row });
}

export function placeOf({ path, key, row }: { path: string; key: string; row: Uint8Array }): Place {
  const entry = decodeEntry(row);
  return { path, key, entry, bytes: encodedIn(row, entry), row };
}

/** Refuses a path that breaks the grammar or that the zone does not own. Normal form (NFC) is the door's care. */
export function checkPath(state: MachineState, path: string): Refusal | undefined {
  const problem = pathProblem(path);
  if (problem) return refuse("INVALID", `path ${show(path)}: ${problem}`);
  return state.owned.check(path);
}

export function notFound(path: string): Refusal {
  return refuse("NOT_FOUND", `nothing stands at ${show(path)}`);
}

export function isEmptyDirectory(state: MachineState, id: number): boolean {
  const prefix = directoryPrefix(id);
  for (const _ of state.overlay.scan({ from: prefix, to: after(prefix), limit: 1 })) return false;
  return true;
}
