import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LoopDisk, loopDisk, throttle } from "../../harness/loop-disk.ts";
import { dataBoxes, pick } from "../scenario.ts";
import type { Strike } from "./strike.ts";

const isRoot = process.getuid?.() === 0;
const mebibyte = 1024 * 1024;
const [box] = dataBoxes;

/** Left free: nothing, or so little that the box refuses writes early. */
const leaveBytes = [0, 100 * mebibyte];

export const fullDisk: Strike = {
  name: "disk-full",
  about: "the disk of a data box is filled, nearly or to the last byte, and space comes back",
  prepare: () => (isRoot ? { before: (federation) => federation.smallDisk(box, 640) } : "a small disk needs root"),
  async strike({ federation, random }) {
    const folder = federation.folder.box(box);
    const ballast = join(folder, "ballast");
    const { bavail, bsize } = statfsSync(folder);
    try {
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - pick(random, leaveBytes))));
    } catch {
      // The box took the last bytes first; what was written stays, and fills the disk.
    }
    return async () => rmSync(ballast);
  },
};

/** Of the throttle: writes a second, as a disk does that is worn out. */
const slowWrites = 20;

export function slowDisk(): Strike {
  let disk: LoopDisk | string = "no disk was made";
  return {
    name: "disk-slow",
    about: `the disk of a data box does ${slowWrites} writes a second`,
    prepare: () => ({
      before: (federation) => {
        const made = loopDisk(federation.folder.box(box), 1024);
        if (typeof made !== "string") federation.atEnd(made.remove);
        disk = made;
      },
    }),
    async strike({ federation }) {
      if (typeof disk === "string") return disk;
      try {
        const end = throttle(disk, "writes", slowWrites, (await federation.box(box)).pid);
        return async () => end((await federation.box(box)).pid);
      } catch (error) {
        return `this kernel throttles no disk (${error})`;
      }
    },
  };
}
