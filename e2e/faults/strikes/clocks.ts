import { existsSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Federation } from "../../harness/federation.ts";
import { boxes, pick } from "../scenario.ts";
import type { Strike } from "./strike.ts";

const jumpsSeconds = [3600, -3600];
/** libfaketime, as Debian's package of that name installs it. */
const library = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1")[0] ?? "";

const fileOf = (federation: Federation, box: string) => join(federation.root, `${box}.clock`);
const set = (federation: Federation, box: string, seconds: number) =>
  writeFileSync(fileOf(federation, box), `${seconds < 0 ? "" : "+"}${seconds}\n`);

/** The monotonic clock is left alone, as it is when somebody sets a machine's time. */
const environment = ["FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "FAKETIME_NO_CACHE=1"];

export const clockJumps: Strike = {
  name: "clock",
  about: "wall clocks of boxes jump an hour ahead or back, and back again",
  prepare() {
    if (!existsSync(library)) return "wall clocks are moved with libfaketime (Debian: apt-get install libfaketime)";
    return {
      before: (federation) => {
        for (const box of boxes) set(federation, box, 0);
      },
      command: (box, federation) => [
        "env",
        `LD_PRELOAD=${library}`,
        `FAKETIME_TIMESTAMP_FILE=${fileOf(federation, box)}`,
        ...environment,
      ],
    };
  },
  async strike({ federation, random }) {
    const box = pick(random, boxes);
    set(federation, box, pick(random, jumpsSeconds));
    // Connections in use outlive a wrong clock; new ones must be made under it too.
    const { pid } = await federation.box(box);
    const restarts = random.unit() < 0.5;
    if (restarts) process.kill(pid, "SIGKILL");
    return async () => {
      if (restarts) await federation.restarted(box, pid);
      set(federation, box, 0);
    };
  },
};
