// Which volume a disk is. A volume that was restored from a snapshot, or swapped, holds a log that once answered for more
// than it has now: under its old incarnation it could vote a second time and lose what was acknowledged. The backend that
// gives a box its volume tells the volume's uid; a folder that was written under another one is put aside, and the box
// comes up empty, as a new incarnation that the federation takes in as a learner.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** In the folder: uid of the volume that its content was written on. */
const markFile = "volume-uid";
/** In the folder: what another volume's box had, until the next such change. For people who need it after all. */
const asideFolder = "other-volume";

/** Nothing was here; all is as it was left; or the content is another volume's and was put aside. */
export type VolumeState = "new" | "known" | "other";

/**
 * Call before anything in `folder` is opened. `kept` are entries that stay whatever volume they came from, since they prove
 * themselves. Content without a mark (of an earlier version) is taken as this volume's. Safe to be killed anywhere within.
 */
export function claimVolume(folder: string, uid: string, kept: readonly string[] = []): VolumeState {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const mark = join(folder, markFile);
  const content = readdirSync(folder).filter((name) => name !== markFile && name !== asideFolder);
  const former = existsSync(mark) ? readFileSync(mark, "utf8").trim() : undefined;
  if (former === uid) return "known";
  if (former === undefined) {
    writeMark(mark, uid);
    return content.length === 0 ? "new" : "known";
  }
  const aside = join(folder, asideFolder);
  const moving = content.filter((name) => !kept.includes(name));
  // A second attempt after a kill goes on with what is still here.
  if (!existsSync(join(aside, `of-${former}`))) rmSync(aside, { recursive: true, force: true });
  mkdirSync(join(aside, `of-${former}`), { recursive: true, mode: 0o700 });
  for (const name of moving) renameSync(join(folder, name), join(aside, `of-${former}`, name));
  writeMark(mark, uid);
  return "other";
}

function writeMark(path: string, uid: string): void {
  writeFileSync(`${path}.new`, `${uid}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
