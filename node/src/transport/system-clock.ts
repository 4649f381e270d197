import { randomFillSync } from "node:crypto";
import type { Clock, Random } from "../base/clock.ts";

/** node runs a timer of a longer delay at once. */
const delayMaxMs = 2 ** 31 - 1;

/** The loop is busy when it waited for events during less than this share of the last so many ms. */
const idleShareMin = 0.5;
const sampleMs = 10;
let sampledMs = 0;
let idleMs = 0;
let busy = false;

function isBusy(): boolean {
  const now = performance.now();
  const pastMs = now - sampledMs;
  if (pastMs < sampleMs) return busy;
  const { idleTime } = performance.nodeTiming;
  busy = idleTime - idleMs < pastMs * idleShareMin;
  sampledMs = now;
  idleMs = idleTime;
  return busy;
}

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
  soon: (fn) => {
    if (isBusy()) setImmediate(fn);
    else process.nextTick(fn);
  },
};

/** Drawn ahead: asking the system for 16 bytes costs as much as encoding the request that they name. */
const pool = new Uint8Array(4096);
let drawn = pool.length;

/** Unpredictable: ids and incarnations are drawn from it. No byte is given out twice. */
export const systemRandom: Random = {
  unit: () => Math.random(),
  bytes(count) {
    if (count > pool.length) return randomFillSync(new Uint8Array(count));
    if (drawn + count > pool.length) {
      randomFillSync(pool);
      drawn = 0;
    }
    drawn += count;
    return pool.slice(drawn - count, drawn);
  },
};
