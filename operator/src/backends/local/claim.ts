// One supervisor a folder. The socket alone cannot say so: a supervisor that hangs does not answer, and two that start at
// once both find no socket. So the folder is claimed by a file that is linked into place whole and names a living process.
import { linkSync, readFileSync, renameSync, rmSync } from "node:fs";
import { type Folder, writePrivate } from "./folder.ts";
import { LocalError } from "./local-error.ts";
import { type ProcessIdentity, readIdentity, startTimeOf } from "./process-info.ts";

/** Claims of dead processes that are cleared away before giving up. */
const triesMax = 10;

/** Throws ALREADY_EXISTS while another process has the folder. The answer lets it go. */
export function claimFolder(folder: Folder): () => void {
  const own: ProcessIdentity = { pid: process.pid, startTime: startTimeOf(process.pid) ?? "" };
  const draft = `${folder.claim}.${process.pid}`;
  writePrivate(draft, JSON.stringify(own));
  try {
    for (let attempt = 0; attempt < triesMax; attempt++) {
      if (link(draft, folder.claim)) return () => release(folder);
      const holder = claimant(folder);
      if (holder !== undefined)
        throw new LocalError(
          "ALREADY_EXISTS",
          `the federation of ${folder.root} is up already, run by pid ${holder.pid}; see it with nexus status, change it with nexus apply, end it with nexus down`,
        );
      clearDead(folder);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw new LocalError("OVERLOADED", `${folder.claim}: others take and leave the folder all the time; try again`);
}

/** A folder that was removed and made anew may be another's by now. */
function release(folder: Folder): void {
  if (claimant(folder)?.pid === process.pid) rmSync(folder.claim, { force: true });
}

/** The living process that has the folder. */
export function claimant(folder: Folder): ProcessIdentity | undefined {
  const holder = readIdentity(folder.claim);
  return holder !== undefined && startTimeOf(holder.pid) === holder.startTime ? holder : undefined;
}

/** Takes a dead process's claim away; one that became a living one's meanwhile is put back. */
function clearDead(folder: Folder): void {
  const aside = `${folder.claim}.${process.pid}.dead`;
  try {
    renameSync(folder.claim, aside);
  } catch {
    return;
  }
  const holder = readIdentity(aside);
  if (holder !== undefined && startTimeOf(holder.pid) === holder.startTime) link(aside, folder.claim);
  rmSync(aside, { force: true });
}

/** False when the target exists. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return readFileSync(to, "utf8") === readFileSync(from, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw error;
  }
}
