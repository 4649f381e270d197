/** The zone of rules, epochs and boxes; no path leads to it. */
export const systemZone = "system";
/** Number of its log, the first of every federation (architecture.md, decision 10). */
export const systemLog = 1;
