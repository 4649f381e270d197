import type { CopyFile, Precondition, Rename } from "@nexus-federation/proto/command.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { isAtOrBelow, nameOf, parentOf, show } from "../tree/path.ts";
import { chunkListOf, referAgain, releaseChunks } from "./chunks.ts";
import { checkCondition } from "./conditions.ts";
import {
  checkPath,
  findPlace,
  isEmptyDirectory,
  makeDirectories,
  newEntry,
  notFound,
  type Place,
} from "./directories.ts";
import { contentIn, type Entry, hasContentKey } from "./entry.ts";
import { changed, type Done, wrongType } from "./files.ts";
import { binaryText, chunkListKey, contentKey } from "./keys.ts";
import { removeTree } from "./remove.ts";
import type { MachineState } from "./state.ts";

type Move = Rename | CopyFile;

interface Ends {
  source: Place;
  target: Place | undefined;
}

/**
 * Moves a file or a whole directory, in one step whatever its size; makes the target's parents. The condition speaks of
 * the source, but `ifNoneMatch` of the target. `replace` lets a file take a file's place, or a directory an empty one's.
 */
export function renamePath(state: MachineState, operation: Rename): Done | Refusal {
  const ends = findEnds(state, operation, "rename");
  if ("code" in ends) return ends;
  const { source, target } = ends;
  if (operation.from === operation.to) return { ...source, existed: true };
  if (isAtOrBelow(operation.to, operation.from)) {
    return refuse(
      "INVALID",
      `to: ${show(operation.to)} lies below ${show(operation.from)}; a directory cannot move into itself`,
    );
  }
  const blocked = target && clearTarget(state, source.entry, target);
  if (blocked) return blocked;
  const parent = makeDirectories(state, parentOf(operation.to));
  if ("code" in parent) return parent;
  const entry: Entry = { ...source.entry, revision: state.index };
  state.overlay.delete(source.key);
  const bytes = state.putEntry(parent.prefix + binaryText(nameOf(operation.to)), entry, besideOf(source));
  if (entry.type === "directory") state.directories.clear();
  state.emit("moved", operation.to, bytes, operation.from);
  return { path: operation.to, entry, bytes, existed: target !== undefined };
}

/** Copies one file with its key-values; chunks are shared, not copied. A directory is refused: copy its files in batches. */
export function copyFile(state: MachineState, operation: CopyFile): Done | Refusal {
  const ends = findEnds(state, operation, "copy");
  if ("code" in ends) return ends;
  const { source, target } = ends;
  if (source.entry.type !== "file") return wrongType(operation.from, source.entry, "file");
  if (target && target.entry.type !== "file") return wrongType(operation.to, target.entry, "file");
  if (operation.from === operation.to) return { ...source, existed: true };
  const parent = makeDirectories(state, parentOf(operation.to));
  if ("code" in parent) return parent;

  const own = target ? changed(state, target.entry) : newEntry(state, "file");
  const entry: Entry = {
    ...source.entry,
    id: own.id,
    revision: own.revision,
    createdMs: own.createdMs,
    modifiedMs: own.modifiedMs,
  };
  copyContent(state, source.entry, { id: own.id, before: target?.entry });
  const bytes = state.putEntry(parent.prefix + binaryText(nameOf(operation.to)), entry, besideOf(source));
  state.emit(target ? "modified" : "created", operation.to, bytes);
  return { path: operation.to, entry, bytes, existed: target !== undefined };
}

function copyContent(state: MachineState, from: Entry, to: { id: number; before: Entry | undefined }): void {
  const chunks = from.chunked ? chunkListOf(state, from.id) : [];
  referAgain(state, chunks);
  if (to.before?.chunked) releaseChunks(state, to.id);
  if (from.chunked) {
    const list = state.overlay.get(chunkListKey(from.id));
    if (list) state.overlay.put(chunkListKey(to.id), list);
  }
  const content = hasContentKey(from) ? state.overlay.get(contentKey(from.id)) : undefined;
  if (content) state.overlay.put(contentKey(to.id), content);
  else if (to.before && hasContentKey(to.before)) state.overlay.delete(contentKey(to.id));
}

function besideOf({ entry, row }: Place): Uint8Array | undefined {
  return entry.beside ? contentIn(row, entry) : undefined;
}

function findEnds(state: MachineState, operation: Move, verb: string): Ends | Refusal {
  const { from, to } = operation;
  const refused =
    checkPath(state, from) ?? checkPath(state, to) ?? state.owned.checkSubtree(from) ?? state.owned.checkSubtree(to);
  if (refused) return refused;
  if (from.length === 1 || to.length === 1)
    return refuse("INVALID", `the root of a zone can be neither end of a ${verb}`);
  const source = findPlace(state, from);
  if (source && "code" in source) return source;
  const target = findPlace(state, to);
  if (target && "code" in target) return target;
  const failed = checkEnds(state, operation, { source, target });
  if (failed) return failed;
  if (!source) return notFound(from);
  if (source.entry.type === "mount") return wrongType(from, source.entry, "file or directory");
  if (target && from !== to && !operation.replace) return occupied(source, target);
  return { source, target };
}

/** Says replace only where it would help. */
function occupied(source: Place, { entry, path }: Place): Refusal {
  const way =
    entry.type === source.entry.type
      ? "say replace to put it aside"
      : entry.type === "directory"
        ? `a ${source.entry.type} cannot take its place, but may go below it: ${show(`${path}/${nameOf(source.path)}`)}`
        : `a ${source.entry.type} cannot take its place`;
  return refuse("ALREADY_EXISTS", `a ${entry.type} stands at ${show(path)}; ${way}`);
}

function checkEnds(
  state: MachineState,
  operation: Move,
  ends: { source?: Place; target?: Place },
): Refusal | undefined {
  const { condition, from, to } = operation;
  if (!condition) return undefined;
  const ofSource: Precondition = { ...condition, ifNoneMatch: false };
  const ofTarget: Precondition = { ...condition, ...noComparison };
  return (
    checkCondition(state, ofSource, { path: from, entry: ends.source?.entry }) ??
    checkCondition(state, ofTarget, { path: to, entry: ends.target?.entry })
  );
}

/** Leaves ifNoneMatch alone: the fence was checked with the source. */
const noComparison = { ifMatch: Buffer.alloc(0), ifExists: false, ifRevision: undefined, fenceCounter: 0 };

function clearTarget(state: MachineState, source: Entry, target: Place): Refusal | undefined {
  if (target.entry.type !== source.type) return wrongType(target.path, target.entry, source.type);
  if (target.entry.type === "directory" && !isEmptyDirectory(state, target.entry.id)) {
    return refuse("NOT_EMPTY", `${show(target.path)} is a directory that is not empty; it cannot be replaced`);
  }
  return removeTree(state, target);
}
