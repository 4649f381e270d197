// Numbers and durations as people type them.

/** A wrong call of the command line itself: exit code 2. */
export class UsageError extends Error {}

/** What a timer can wait, ms: about 24 days. */
const durationMsMax = 2 ** 31 - 1;

/** What a duration looks like, for --help and the reference page. */
export const durationHelp = "500ms, 1.5s, 10s, 2m, 1h; a bare number is seconds";

/** Milliseconds of a duration, more than 0; without a unit it is seconds. `name` is the option. */
export function parseSpan(text: string, name: string): number {
  const durationMs = parseDuration(text, name);
  if (durationMs === 0) throw new UsageError(`${name}: expected more than 0, got "${text}"`);
  return durationMs;
}

/** Like parseSpan; 0 is allowed too. */
export function parseDuration(text: string, name: string): number {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)?$/.exec(text);
  if (!match) throw new UsageError(`${name}: expected a duration (${durationHelp}), got "${text}"`);
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "s"]!;
  const durationMs = Math.round(Number(match[1]) * unit);
  if (durationMs > durationMsMax) throw new UsageError(`${name}: at most 596h, got "${text}"`);
  return durationMs;
}

/** A whole number from `least` on, or from `least` to `most`. */
export function parseCount(text: string, name: string, range: { least?: number; most?: number } = {}): number {
  const { least = 0, most } = range;
  const count = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= least && count <= (most ?? count)) return count;
  const wanted = most !== undefined ? ` from ${least} to ${most}` : least > 0 ? ` from ${least} on` : "";
  throw new UsageError(`${name}: expected a whole number${wanted}, got "${text}"`);
}
