import { randomFillSync } from "node:crypto";
import type { Clock, Random } from "../base/clock.ts";

/** The process's real time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  defer: (fn) => {
    setImmediate(fn);
  },
};

/** Unpredictable: ids and incarnations are drawn from it. */
export const systemRandom: Random = {
  unit: () => Math.random(),
  bytes: (count) => randomFillSync(new Uint8Array(count)),
};
