import type { DeletePath, MakeDirectory, SetMetadata, WriteFile } from "@nexus-federation/proto/command.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { utf8Size } from "../tree/order.ts";
import { nameOf, parentOf, show } from "../tree/path.ts";
import { chunksProblem, referChunks, releaseChunks } from "./chunks.ts";
import { checkCondition } from "./conditions.ts";
import {
  checkPath,
  findDirectory,
  findPlace,
  isEmptyDirectory,
  makeDirectories,
  newEntry,
  notFound,
} from "./directories.ts";
import {
  besideBytesMax,
  contentIn,
  decodeEntry,
  type Entry,
  encodeChunks,
  hasContentKey,
  noMetadata,
} from "./entry.ts";
import { binaryText, chunkListKey, contentKey } from "./keys.ts";
import { removeTree } from "./remove.ts";
import type { MachineState } from "./state.ts";

/** What a file operation answers: the entry that now stands (or, deleted, stood) at `path`. */
export interface Done {
  path: string;
  entry: Entry;
  /** The entry as events and answers have it. */
  bytes: Uint8Array;
  /** Something stood at the path before. */
  existed: boolean;
}

/** Replaces the whole file: content, content type and user key-values. Makes the parents. */
export function writeFile(state: MachineState, operation: WriteFile): Done | Refusal {
  const { path } = operation;
  const refused = checkPath(state, path) ?? writeProblem(state, operation);
  if (refused) return refused;
  const parentPath = parentOf(path);
  const found = findDirectory(state, parentPath);
  if (found && "code" in found) return found;
  const name = binaryText(nameOf(path));
  const foundKey = found && found.prefix + name;
  const bytes = foundKey === undefined ? undefined : state.overlay.get(foundKey);
  const before = bytes && decodeEntry(bytes);
  if (before && before.type !== "file") return wrongType(path, before, "file");
  const failed = checkCondition(state, operation.condition, { path, entry: before });
  if (failed) return failed;
  const parent = found ?? makeDirectories(state, parentPath);
  if ("code" in parent) return parent;

  const entry = before ? changed(state, before) : newEntry(state, "file");
  entry.size = operation.chunks.length > 0 ? operation.size : operation.content.length;
  entry.etag = operation.etag;
  entry.contentType = operation.contentType;
  entry.metadata = operation.metadata;
  entry.chunked = operation.chunks.length > 0;
  entry.beside = !entry.chunked && entry.size > 0 && entry.size <= besideBytesMax;
  const lost = storeContent(state, operation, { entry, before });
  if (lost) return lost;
  const stored = state.putEntry(foundKey ?? parent.prefix + name, entry, entry.beside ? operation.content : undefined);
  state.emit(before ? "modified" : "created", path, stored);
  return { path, entry, bytes: stored, existed: before !== undefined };
}

function storeContent(
  state: MachineState,
  operation: WriteFile,
  file: { entry: Entry; before: Entry | undefined },
): Refusal | undefined {
  const { before } = file;
  const { id, beside } = file.entry;
  if (operation.chunks.length > 0) {
    const lost = referChunks(state, operation.chunks, operation.uploadIndex);
    if (lost) return lost;
  }
  if (before?.chunked) releaseChunks(state, id);
  if (operation.chunks.length > 0) state.overlay.put(chunkListKey(id), encodeChunks(operation.chunks));
  if (operation.content.length > 0 && !beside) state.overlay.put(contentKey(id), operation.content);
  else if (before && hasContentKey(before)) state.overlay.delete(contentKey(id));
  return undefined;
}

function writeProblem(state: MachineState, operation: WriteFile): Refusal | undefined {
  const { limits } = state;
  if (operation.path.length === 1)
    return refuse("WRONG_TYPE", "the root is a directory, a file cannot be written there");
  if (operation.etag.length !== 32)
    return refuse("INVALID", `etag: 32 bytes of sha-256, ${operation.etag.length} came`);
  if (operation.chunks.length > 0) {
    if (operation.content.length > 0)
      return refuse("INVALID", "content: a file has inline content or chunks, not both");
    const problem = chunksProblem(state, operation.chunks, operation.size);
    if (problem) return problem;
  } else if (operation.content.length > limits.inlineBytesMax) {
    const text = `content: at most ${limits.inlineBytesMax} bytes travel inline, ${operation.content.length} came; upload it in chunks`;
    return refuse("TOO_LARGE", text);
  }
  return labelProblem(state, operation.contentType, operation.metadata);
}

function labelProblem(
  state: MachineState,
  contentType: string,
  metadata: Readonly<Record<string, string>>,
): Refusal | undefined {
  const { limits } = state;
  if (contentType.length > 0 && utf8Size(contentType) > limits.labelBytesMax) {
    return refuse("INVALID", `contentType: at most ${limits.labelBytesMax} bytes`);
  }
  let size = 0;
  for (const key in metadata) {
    if (key === "") return refuse("INVALID", "metadata: a key is not empty");
    if (key === "__proto__") return refuse("INVALID", 'metadata: "__proto__" cannot be a key');
    size += utf8Size(key) + utf8Size(metadata[key]!);
  }
  return size > limits.metadataBytesMax
    ? refuse(
        "TOO_LARGE",
        `metadata: keys and values have at most ${limits.metadataBytesMax} bytes together, ${size} came`,
      )
    : undefined;
}

/** The entry as this command leaves it: new revision and time, the rest as before. */
export function changed(state: MachineState, before: Entry): Entry {
  return { ...before, revision: state.index, modifiedMs: state.logTimeMs };
}

export function wrongType(path: string, entry: Entry, wanted: string): Refusal {
  return refuse("WRONG_TYPE", `${show(path)} is a ${entry.type}, a ${wanted} is expected`);
}

export function deletePath(state: MachineState, operation: DeletePath): Done | Refusal {
  const { path } = operation;
  const refused = checkPath(state, path);
  if (refused) return refused;
  if (path.length === 1) return refuse("INVALID", "path: the root of a zone cannot be deleted");
  const place = findPlace(state, path);
  if (place && "code" in place) return place;
  const failed = checkCondition(state, operation.condition, { path, entry: place?.entry });
  if (failed) return failed;
  if (!place) return notFound(path);
  const { entry } = place;
  if (entry.type === "mount") return wrongType(path, entry, "file or directory");
  if (entry.type === "directory") {
    const shared = state.owned.checkSubtree(path);
    if (shared) return shared;
    if (!operation.recursive && !isEmptyDirectory(state, entry.id)) {
      return refuse("NOT_EMPTY", `${show(path)} is a directory that is not empty; empty it or delete recursively`);
    }
  }
  const stopped = removeTree(state, place);
  return stopped ?? { path, entry, bytes: place.bytes, existed: true };
}

export function makeDirectory(state: MachineState, operation: MakeDirectory): Done | Refusal {
  const { path } = operation;
  const refused = checkPath(state, path);
  if (refused) return refused;
  const place = findPlace(state, path);
  if (place && "code" in place) return place;
  if (place) {
    if (place.entry.type === "directory" && operation.parents) return { ...place, existed: true };
    return refuse("ALREADY_EXISTS", `a ${place.entry.type} stands at ${show(path)}`);
  }
  if (!operation.parents && !findDirectory(state, parentOf(path))) return notFound(parentOf(path));
  const made = makeDirectories(state, path);
  if ("code" in made) return made;
  const now = findPlace(state, path);
  return now && !("code" in now) ? { ...now, existed: false } : notFound(path);
}

/** Sets and removes user key-values; a content type that is not empty replaces the file's. */
export function setMetadata(state: MachineState, operation: SetMetadata): Done | Refusal {
  const { path } = operation;
  const refused = checkPath(state, path);
  if (refused) return refused;
  if (path.length === 1) return refuse("INVALID", "path: the root of a zone has no metadata");
  const place = findPlace(state, path);
  if (place && "code" in place) return place;
  const failed = checkCondition(state, operation.condition, { path, entry: place?.entry });
  if (failed) return failed;
  if (!place) return notFound(path);
  const metadata: Record<string, string> = { ...place.entry.metadata, ...operation.set };
  for (const key of operation.remove) delete metadata[key];
  const problem = labelProblem(state, operation.contentType, metadata);
  if (problem) return problem;
  const entry = changed(state, place.entry);
  entry.metadata = Object.keys(metadata).length > 0 ? metadata : noMetadata;
  if (operation.contentType !== "") entry.contentType = operation.contentType;
  const bytes = state.putEntry(place.key, entry, entry.beside ? contentIn(place.row, place.entry) : undefined);
  state.emit("metadata", path, bytes);
  return { path, entry, bytes, existed: true };
}
