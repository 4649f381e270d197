// Whose folder it is. A disk answers for the votes and acknowledgements of one box: under another box's name it would
// answer for what it does not have. So its name and federation stand in the folder from the first start on.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NexusError } from "../base/errors.ts";

/** In the folder: one line, the federation and the box that its content belongs to. */
const ownerFile = "owner";

export interface Owner {
  federation: string;
  box: string;
}

/**
 * Call before anything in `folder` is opened. Throws INVALID when the content is another box's; content without an owner
 * (new, or of an earlier version) is this box's from now on.
 */
export function claimFor(folder: string, { federation, box }: Owner): void {
  const file = join(folder, ownerFile);
  const line = `${federation} ${box}`;
  const found = readOwner(file);
  if (found === line) return;
  if (found === undefined) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, `${line}\n`, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
    return;
  }
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
