import type { FileInfo, Listing } from "@nexus-federation/proto/records.ts";
import { compareText } from "./order.ts";
import { joinPath } from "./path.ts";
import type { NameBelow } from "./rules.ts";

export interface ListedName extends NameBelow {
  /** The zone behind the name could not be reached: listed, never an error. */
  unavailable: boolean;
}

export interface MergeInput {
  /** Federation path that is listed. */
  path: string;
  /** A page of the owning zone: entries in name order, `nextPage` = name of the last entry or empty. */
  own: Listing;
  /** Names that lead to deeper rules, in name order. */
  below: readonly ListedName[];
  /** The page token that this page was asked with: names up to it were listed before. */
  after: string;
  /** Names must start with it. */
  prefix: string;
}

/**
 * One page of a directory: the owning zone's entries plus the names through which deeper rules are reached, in name
 * order, each once. Where both have a name the rule wins (what the zone holds there is hidden by it). Names beyond the
 * zone's page are left for the page they belong to, so pages never overlap.
 */
export function mergeListing(input: MergeInput): Listing {
  const { own, below, after, prefix } = input;
  const until = own.nextPage;
  const entries: FileInfo[] = [];
  let next = 0;
  const inPage = (name: string) => name.startsWith(prefix) && (after === "" || compareText(name, after) > 0);
  const take = (limit: string | undefined) => {
    while (next < below.length && (limit === undefined || compareText(below[next]!.name, limit) < 0)) {
      const found = below[next++]!;
      if (inPage(found.name)) entries.push(ruleEntry(input.path, found));
    }
  };
  for (const entry of own.entries) {
    take(entry.name);
    const hidden = below[next]?.name === entry.name ? below[next++] : undefined;
    entries.push(hidden ? ruleEntry(input.path, hidden) : entry);
  }
  take(until === "" ? undefined : until);
  return { entries, nextPage: until };
}

function ruleEntry(parent: string, found: ListedName): FileInfo {
  return {
    name: found.name,
    path: joinPath(parent, found.name),
    type: "directory",
    revision: 0,
    etag: Buffer.alloc(0),
    size: 0,
    createdMs: 0,
    modifiedMs: 0,
    contentType: "",
    metadata: {},
    chunks: [],
    unavailable: found.unavailable,
    generation: found.rule?.generation ?? 0,
  };
}
