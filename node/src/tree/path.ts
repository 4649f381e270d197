// Paths and rules. The problem: one path must mean the same on every box, in every door and in every log entry, and the
// rule that binds it must be found per request in well under a microsecond. Comparing strings by longest prefix (the
// seeds' way) depends on spelling, hash order and the length of a wildcard. Sketch: a path has exactly one spelling
// (this file and url.ts refuse or normalise every other); a pattern is a list of segments ending in a subtree; patterns
// are ordered by specificity so that no two distinct ones can tie; a trie finds the most specific one.
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { utf8Size } from "./order.ts";

/** UTF-8 bytes of one segment. */
const segmentBytesMax = 255;
/** UTF-8 bytes of a whole path. */
const pathBytesMax = 4096;

/** A path as a request names it. */
export interface Address {
  /** Zone addressed by its own root (`/zone:{id}/p`, `zone://{id}/p`); undefined for a federation path. */
  zone: string | undefined;
  /** Normal form: absolute, NFC, no trailing slash but for the root. */
  path: string;
}

/** Parses a federation path or a zone address. */
export function parseAddress(text: string): Address | Refusal {
  if (text.startsWith("zone://")) return zoneAddress(text.slice(7), text);
  if (text.startsWith("/zone:")) return zoneAddress(text.slice(6), text);
  const path = normalisePath(text);
  return isRefusal(path) ? path : { zone: undefined, path };
}

function zoneAddress(rest: string, text: string): Address | Refusal {
  const slash = rest.indexOf("/");
  const zone = slash < 0 ? rest : rest.slice(0, slash);
  const problem = zoneNameProblem(zone);
  if (problem) return refuse("INVALID", `path ${show(text)}: ${problem}`);
  const path = normalisePath(slash < 0 ? "/" : rest.slice(slash));
  return isRefusal(path) ? path : { zone, path };
}

/** Why `name` is not a zone name (a DNS subdomain: lower case letters, digits, `-` and `.`), or undefined. */
export function zoneNameProblem(name: string): string | undefined {
  if (name.length === 0) return "a zone name is expected after zone:, it is empty";
  if (name.length > 253) return "a zone name has at most 253 characters";
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    const alphanumeric = (c >= 97 && c <= 122) || (c >= 48 && c <= 57);
    const inner = (c === 45 || c === 46) && i > 0 && i < name.length - 1;
    if (!alphanumeric && !inner) return "a zone name holds lower case letters and digits, and - or . between them";
  }
  return undefined;
}

/** The normal form of an absolute path (NFC), or INVALID saying what is wrong. A first segment `zone:…` is reserved. */
export function normalisePath(text: string): string | Refusal {
  const path = isPlainAscii(text) ? text : text.normalize("NFC");
  const problem = pathProblem(path);
  if (problem) return refuse("INVALID", `path ${show(text)}: ${problem}`);
  if (path.startsWith("/zone:"))
    return refuse("INVALID", `path ${show(text)}: a first segment that starts with zone: is reserved`);
  return path;
}

/** Why `path` breaks the grammar (NFC is not checked), or undefined. */
export function pathProblem(path: string): string | undefined {
  if (path.charCodeAt(0) !== 47) return "a path starts with /";
  if (path.length > pathBytesMax) return `a path has at most ${pathBytesMax} bytes`;
  if (path.length === 1) return undefined;
  let start = 1;
  let wide = false;
  for (let i = 1; i <= path.length; i++) {
    const c = i === path.length ? 47 : path.charCodeAt(i);
    if (c === 0) return "NUL is not allowed";
    if (c >= 0x80) wide = true;
    if (c !== 47) continue;
    const length = i - start;
    if (length === 0) return "a segment is empty (no // and no / at the end)";
    if (length <= 2 && path.charCodeAt(start) === 46 && (length === 1 || path.charCodeAt(start + 1) === 46)) {
      return ". and .. are not allowed";
    }
    if (length > segmentBytesMax) return `a segment has at most ${segmentBytesMax} bytes`;
    if (wide && utf8Size(path.slice(start, i)) > segmentBytesMax)
      return `a segment has at most ${segmentBytesMax} bytes`;
    start = i + 1;
  }
  if (!wide) return undefined;
  if (!path.isWellFormed()) return "a path is valid Unicode (a lone surrogate was found)";
  return utf8Size(path) > pathBytesMax ? `a path has at most ${pathBytesMax} bytes` : undefined;
}

/** Why `segment` cannot stand alone as a path segment, or undefined. */
export function segmentProblem(segment: string): string | undefined {
  return segment.includes("/")
    ? "a segment holds no /"
    : (pathProblem(`/${segment}`) ?? (segment === "" ? "a segment is empty" : undefined));
}

/** Segments of a normal path; none for the root. */
export function segmentsOf(path: string): string[] {
  return path.length === 1 ? [] : path.slice(1).split("/");
}

export function joinPath(parent: string, name: string): string {
  return parent.length === 1 ? `/${name}` : `${parent}/${name}`;
}

/** The path above; the root's is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** The last segment; empty for the root. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** True when `path` is `ancestor` or lies below it. */
export function isAtOrBelow(path: string, ancestor: string): boolean {
  if (ancestor.length === 1) return true;
  return path.startsWith(ancestor) && (path.length === ancestor.length || path.charCodeAt(ancestor.length) === 47);
}

function isPlainAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** A path in a message: quoted, cut at 80 characters. */
export function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
