import { textOf } from "../base/bytes.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { type Address, parseAddress, show } from "./path.ts";

/**
 * The address in a raw request target: `rawPath` starts with `/` and still has its percent signs; query and fragment are
 * cut off here. Each segment is decoded once, after the split, so that an encoded slash can never make a new segment:
 * `%2F`, `%00` and bad UTF-8 are INVALID.
 */
export function addressOfUrl(rawPath: string): Address | Refusal {
  const end = rawPath.search(/[?#]/);
  const raw = end < 0 ? rawPath : rawPath.slice(0, end);
  if (!raw.startsWith("/")) return refuse("INVALID", `URL path ${show(raw)}: it starts with /`);
  const segments = raw.split("/");
  for (let i = 0; i < segments.length; i++) {
    const segment = decodeSegment(segments[i]!);
    if (isRefusal(segment)) return segment;
    segments[i] = segment;
  }
  return parseAddress(segments.join("/"));
}

/** One raw URL segment, percent-decoded once. */
function decodeSegment(raw: string): string | Refusal {
  const bytes = new Uint8Array(raw.length);
  let size = 0;
  for (let i = 0; i < raw.length; i++) {
    const unit = raw.charCodeAt(i);
    if (unit >= 0x80) return refuse("INVALID", `URL segment ${show(raw)}: bytes above 127 are percent-encoded`);
    if (unit !== 37) {
      bytes[size++] = unit;
      continue;
    }
    const value = hexDigit(raw.charCodeAt(i + 1)) * 16 + hexDigit(raw.charCodeAt(i + 2));
    if (!(value >= 0)) return refuse("INVALID", `URL segment ${show(raw)}: % is followed by two hex digits`);
    if (value === 47) return refuse("INVALID", `URL segment ${show(raw)}: %2F is not allowed, a segment holds no /`);
    if (value === 0) return refuse("INVALID", `URL segment ${show(raw)}: %00 (NUL) is not allowed`);
    bytes[size++] = value;
    i += 2;
  }
  try {
    return textOf(bytes.subarray(0, size));
  } catch {
    return refuse("INVALID", `URL segment ${show(raw)}: it is not valid UTF-8 after decoding`);
  }
}

/** NaN when `unit` is not a hex digit. */
function hexDigit(unit: number): number {
  if (unit >= 48 && unit <= 57) return unit - 48;
  const lower = unit | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : Number.NaN;
}
