// A program on a disk of its own, as in a fresh container: no page of it is in memory, so every page that runs is charged
// to the memory group of whoever runs it.
import { copyFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { loopDisk } from "./loop-disk.ts";

export interface ColdProgram {
  /** Path of the copy. */
  path: string;
  /** When no process runs it any more. */
  remove(): void;
}

/** For the file system's own tables. */
const spareMib = 64;

/** A copy of `program` in `folder`; the reason, as a text, when this machine does not let us. */
export function coldProgram(program: string, folder: string): ColdProgram | string {
  const disk = loopDisk(folder, Math.ceil(statSync(program).size / 1024 / 1024) + spareMib);
  if (typeof disk === "string") return disk;
  const path = join(folder, basename(program));
  copyFileSync(program, path);
  disk.forget();
  return { path, remove: disk.remove };
}
