import type { Refusal } from "../base/errors.ts";
import { joinPath } from "../tree/path.ts";
import { releaseChunks } from "./chunks.ts";
import { type Place, placeOf, tooMany } from "./directories.ts";
import { type Entry, hasContentKey } from "./entry.ts";
import { after, contentKey, directoryPrefix, textOfBinary } from "./keys.ts";
import type { MachineState } from "./state.ts";

/** Removes what stands at `place`, with everything below, children first; one event each. Refuses above the limit. */
export function removeTree(state: MachineState, place: Place): Refusal | undefined {
  const doomed = gather(state, place);
  if (state.touched > state.limits.commandEntriesMax) return tooMany(state);
  for (const one of doomed.reverse()) {
    state.overlay.delete(one.key);
    if (one.entry.type === "file") forgetContent(state, one.entry);
    state.emit(one.entry.type === "directory" ? "directory-deleted" : "deleted", one.path, one.bytes);
  }
  if (place.entry.type === "directory") state.directories.clear();
  return undefined;
}

/** `place` and all below it, parents before children; stops one beyond the limit. */
function gather(state: MachineState, place: Place): Place[] {
  const out = [place];
  for (let i = 0; i < out.length; i++) {
    const { entry, path } = out[i]!;
    if (entry.type !== "directory") continue;
    const prefix = directoryPrefix(entry.id);
    for (const { key, value } of state.overlay.scan({ from: prefix, to: after(prefix) })) {
      if (++state.touched > state.limits.commandEntriesMax) return out;
      out.push(placeOf({ path: joinPath(path, textOfBinary(key.slice(prefix.length))), key, row: value }));
    }
  }
  return out;
}

function forgetContent(state: MachineState, entry: Entry): void {
  if (entry.chunked) releaseChunks(state, entry.id);
  else if (hasContentKey(entry)) state.overlay.delete(contentKey(entry.id));
}
