import { randomFillSync } from "node:crypto";
import type { Clock, Random } from "../base/clock.ts";

/** node runs a timer of a longer delay at once. */
const delayMaxMs = 2 ** 31 - 1;

/** The process's real time. A timer further away than `delayMaxMs` fires then. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, Math.min(delayMs, delayMaxMs));
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
