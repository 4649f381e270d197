import { assert } from "../base/assert.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { segmentsOf, show } from "../tree/path.ts";
import { matchesPattern, type Pattern, parsePattern, patternOf, reachesBelow } from "../tree/pattern.ts";
import { federationPath } from "../tree/rules.ts";
import type { Ownership } from "./api.ts";
import { ByteReader, ByteWriter } from "./codec.ts";

export const nothingOwned: Ownership = { pattern: "", exclusions: [], epoch: 0 };

/**
 * What a zone owns, asked in zone paths. The patterns are federation patterns; a zone path is the federation path minus
 * the own pattern's leading literals, and every exclusion starts with those literals too (or it could not be more
 * specific), so both are cut once, here.
 */
export class OwnedPaths {
  readonly ownership: Ownership;
  readonly #own: Pattern | undefined;
  readonly #ownLocal: Pattern | undefined;
  readonly #excluded: Pattern[] = [];
  /** Everything below the zone's root is owned: the common case, which needs no matching. */
  readonly #everything: boolean;

  constructor(ownership: Ownership) {
    this.ownership = ownership;
    this.#own = ownership.pattern === "" ? undefined : checked(ownership.pattern);
    this.#ownLocal = this.#own && this.local(this.#own);
    for (const text of ownership.exclusions) {
      const pattern = this.local(checked(text));
      if (pattern) this.#excluded.push(pattern);
    }
    this.#everything = this.#ownLocal?.segments.length === 0 && this.#excluded.length === 0;
  }

  /** The pattern in zone paths, or undefined when nothing in the zone can match it. */
  local(pattern: Pattern): Pattern | undefined {
    const literals = this.#own?.literals ?? 0;
    for (let i = 0; i < literals; i++) if (pattern.segments[i] !== this.#own!.segments[i]) return undefined;
    return patternOf(pattern.segments.slice(literals));
  }

  /** STALE_EPOCH when the zone does not own `path`. */
  check(path: string): Refusal | undefined {
    if (this.#everything || this.owns(path)) return undefined;
    const where = this.#own ? show(federationPath(this.#own, path)) : show(path);
    const what = this.#own
      ? `it owns ${this.#own.text} without ${this.#excluded.length} deeper rules`
      : "it owns nothing now";
    return refuse("STALE_EPOCH", `this zone does not own ${where}: ${what}; route by a newer rule map`, {
      epoch: this.ownership.epoch,
    });
  }

  owns(path: string): boolean {
    if (this.#everything) return true;
    if (!this.#ownLocal) return false;
    const segments = segmentsOf(path);
    return (
      matchesPattern(this.#ownLocal, segments) && !this.#excluded.some((pattern) => matchesPattern(pattern, segments))
    );
  }

  /** Refuses an act on a whole subtree when part of it is, or may come to be, another zone's. */
  checkSubtree(path: string): Refusal | undefined {
    if (this.#everything) return undefined;
    const segments = segmentsOf(path);
    const found = this.#excluded.find((pattern) => reachesBelow(pattern, segments));
    if (!found) return undefined;
    return refuse(
      "ZONE_IN_USE",
      `${show(path)} holds paths of another rule (${found.text} of this zone); act on the parts one by one`,
    );
  }
}

function checked(text: string): Pattern {
  const pattern = parsePattern(text);
  assert(!isRefusal(pattern), `the stored pattern ${text} was checked when it was owned`);
  return pattern;
}

export function encodeOwnership(ownership: Ownership): Uint8Array {
  const writer = new ByteWriter().text(ownership.pattern).varint(ownership.epoch);
  for (const exclusion of ownership.exclusions) writer.text(exclusion);
  return writer.finish();
}

export function decodeOwnership(bytes: Uint8Array): Ownership {
  const reader = new ByteReader(bytes);
  const ownership: Ownership = { pattern: reader.text(), epoch: reader.varint(), exclusions: [] };
  while (!reader.done) ownership.exclusions.push(reader.text());
  return ownership;
}
