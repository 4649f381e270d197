import { type Refusal, refuse } from "../base/errors.ts";
import { segmentProblem, show } from "./path.ts";

/** Exactly one segment, whatever its name. */
export const anySegment: unique symbol = Symbol("*");
export type PatternSegment = string | typeof anySegment;

/**
 * Every pattern binds a whole subtree: what stands before the final `*` or `**`. It matches a path when its segments
 * match the path's first ones; so `/cn/**` matches `/cn` itself too.
 */
export interface Pattern {
  /** Normal spelling, ending in `/**`: equal texts are equal patterns. */
  text: string;
  segments: readonly PatternSegment[];
  /** Literal segments before the first `*`: what a zone path leaves out. */
  literals: number;
}

/** Segments of a pattern at most. */
const patternSegmentsMax = 32;

export function parsePattern(text: string): Pattern | Refusal {
  const wrong = (why: string) => refuse("INVALID", `pattern ${show(text)}: ${why}`);
  if (!text.startsWith("/")) return wrong("a pattern starts with /");
  const parts = text.normalize("NFC").slice(1).split("/");
  const last = parts.pop();
  if (last !== "*" && last !== "**") return wrong("a pattern ends in /* or /** and binds the whole subtree below");
  if (parts.length > patternSegmentsMax) return wrong(`a pattern has at most ${patternSegmentsMax} segments`);
  const segments: PatternSegment[] = [];
  for (const part of parts) {
    if (part === "*") {
      segments.push(anySegment);
      continue;
    }
    if (part === "**") return wrong("** stands only at the end");
    if (part.includes("*")) return wrong(`${show(part)}: * stands alone in its segment`);
    const problem = segmentProblem(part);
    if (problem) return wrong(problem);
    if (segments.length === 0 && part.startsWith("zone:"))
      return wrong("a first segment that starts with zone: is reserved");
    segments.push(part);
  }
  return patternOf(segments);
}

export function patternOf(segments: readonly PatternSegment[]): Pattern {
  const star = segments.indexOf(anySegment);
  const text = segments.map((segment) => (segment === anySegment ? "/*" : `/${segment}`)).join("");
  return { text: `${text}/**`, segments, literals: star < 0 ? segments.length : star };
}

export function matchesPattern(pattern: Pattern, path: readonly string[]): boolean {
  return path.length >= pattern.segments.length && agree(pattern, path);
}

/** True when some path at or below `path` matches. */
export function reachesBelow(pattern: Pattern, path: readonly string[]): boolean {
  return agree(pattern, path);
}

/** The shorter of the two is compatible with the longer, segment by segment. */
function agree(pattern: Pattern, path: readonly string[]): boolean {
  const length = Math.min(pattern.segments.length, path.length);
  for (let i = 0; i < length; i++) {
    const segment = pattern.segments[i];
    if (segment !== anySegment && segment !== path[i]) return false;
  }
  return true;
}

/** True when some path matches both. */
function overlap(a: Pattern, b: Pattern): boolean {
  const length = Math.min(a.segments.length, b.segments.length);
  for (let i = 0; i < length; i++) {
    const x = a.segments[i];
    const y = b.segments[i];
    if (x !== anySegment && y !== anySegment && x !== y) return false;
  }
  return true;
}

/**
 * Positive when `a` is more specific: from the root, literal > `*` > subtree. Zero only for overlapping patterns that
 * are equal: so two patterns can tie on a path only if their normal spellings are the same.
 */
function compareSpecificity(a: Pattern, b: Pattern): number {
  const length = Math.max(a.segments.length, b.segments.length);
  for (let i = 0; i < length; i++) {
    const difference = weight(a.segments[i]) - weight(b.segments[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function weight(segment: PatternSegment | undefined): number {
  if (segment === undefined) return 0;
  return segment === anySegment ? 1 : 2;
}

/** True when `a` takes paths away from `b`: both match some path, and on it `a` wins. */
export function takesFrom(a: Pattern, b: Pattern): boolean {
  return overlap(a, b) && compareSpecificity(a, b) > 0;
}
