import type { Clock } from "../clock.ts";

/** A clock on which nothing ever falls due. */
export const stillClock: Clock = {
  now: () => 0,
  wallMs: () => 0,
  defer: () => {},
  soon: () => {},
  after: () => ({ cancel: () => {} }),
};
