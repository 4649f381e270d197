// Whose folder it is. A disk answers for the votes and acknowledgements of one box: under another box's name it would
// answer for what it does not have. So its name and federation stand in the folder from the first start on.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NexusError } from "../base/errors.ts";
import { claimVolume, type VolumeState } from "./volume.ts";

/** In the folder: one line, the federation and the box that its content belongs to. */
const ownerFile = "owner";

export interface Owner {
  federation: string;
  box: string;
}

/**
 * Call before anything in `folder` is opened: the folder of a box on a volume that may have been exchanged, restored or
 * emptied. What another box owns is refused and left as it is, for it is wanted back; what is this box's but of another
 * volume is put aside (volume.ts). `volumeUid` empty: not told.
 */
export function claimDisk(
  folder: string,
  owner: Owner,
  { volumeUid, kept = [] }: { volumeUid: string; kept?: readonly string[] },
): VolumeState | undefined {
  const found = readOwner(join(folder, ownerFile));
  if (found !== undefined) refuseOther(folder, owner, found);
  const state = volumeUid === "" ? undefined : claimVolume(folder, volumeUid, kept);
  claimFor(folder, owner);
  return state;
}

/**
 * Call before anything in `folder` is opened. Throws INVALID when the content is another box's; content without an owner
 * (new, or of an earlier version) is this box's from now on.
 */
export function claimFor(folder: string, owner: Owner): void {
  const file = join(folder, ownerFile);
  const found = readOwner(file);
  if (found !== undefined) return refuseOther(folder, owner, found);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${lineOf(owner)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

function lineOf({ federation, box }: Owner): string {
  return `${federation} ${box}`;
}

function refuseOther(folder: string, owner: Owner, found: string): void {
  if (found === lineOf(owner)) return;
  const { federation, box } = owner;
  const [otherFederation, otherBox] = found.split(" ");
  throw new NexusError(
    "INVALID",
    `${folder} holds the data of box ${otherBox} of federation ${otherFederation}, not of box ${box} of federation ${federation}: bring the right folder back, or empty this one to start ${box} as a new box`,
  );
}

function readOwner(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
