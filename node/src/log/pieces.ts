import { entryBytes, type LogWrite, recordBytes } from "./records.ts";

/**
 * Cuts what is too much for one frame into parts that are written one after the other. A part ends before entries only: what
 * has none (a replica's record and the removal of its former log, say) stays with what stands before it. A power cut may
 * keep the first parts alone, which nobody was told of; so a commit index is not written before the entries up to it are.
 */
export function piecesOf(writes: readonly LogWrite[], bytesMax: number): LogWrite[][] {
  const pieces: LogWrite[][] = [];
  let piece: LogWrite[] = [];
  let bytes = 0;
  for (const part of writes.flatMap((write) => partsOf(write, bytesMax))) {
    const more = recordBytes(part);
    if (piece.length > 0 && part.entries !== undefined && bytes + more > bytesMax) {
      pieces.push(piece);
      piece = [];
      bytes = 0;
    }
    piece.push(part);
    bytes += more;
  }
  pieces.push(piece);
  return pieces;
}

/** One group's write as several, each with at least one entry. */
function partsOf(write: LogWrite, bytesMax: number): LogWrite[] {
  const { group, generation, hardState, entries } = write;
  const [first] = entries ?? [];
  if (entries === undefined || first === undefined || recordBytes(write) <= bytesMax) return [write];
  const parts: LogWrite[] = [];
  const { entries: _, ...head } = write;
  let next: LogWrite = head;
  if (hardState !== undefined) next.hardState = { ...hardState, commit: Math.min(hardState.commit, first.index - 1) };
  let from = 0;
  let bytes = recordBytes(next);
  for (const [i, entry] of entries.entries()) {
    if (i > from && bytes + entryBytes(entry) > bytesMax) {
      parts.push({ ...next, entries: entries.slice(from, i) });
      next = { group, generation };
      from = i;
      bytes = recordBytes(next);
    }
    bytes += entryBytes(entry);
  }
  if (hardState !== undefined) next.hardState = hardState;
  parts.push({ ...next, entries: entries.slice(from) });
  return parts;
}
