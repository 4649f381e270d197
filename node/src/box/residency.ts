import type { DeclaredMember } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, ZoneRule } from "@nexus-federation/proto/records.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { Work } from "./routing.ts";

type Members = readonly Pick<DeclaredMember, "box" | "role">[];

/** A zone's data lies only in the regions that its rule names (none = anywhere). A witness holds none of it. */
export function memberOutside(
  rule: Pick<ZoneRule, "zone" | "regions"> | undefined,
  members: Members,
  boxes: readonly BoxRecord[],
): Refusal | undefined {
  if (rule === undefined || rule.regions.length === 0) return undefined;
  for (const { box, role } of members) {
    if (role === "witness") continue;
    const region = boxes.find((one) => one.name === box)?.region ?? "";
    if (rule.regions.includes(region)) continue;
    return refuse("INVALID", `members: box ${box} stands in region ${region || "unknown"}, ${allowed(rule)}`, {
      details: { rule: rule.zone },
    });
  }
  return undefined;
}

/**
 * Refuses an answer with data of the zone that would pass a box outside its regions: the one that asks first, or one on
 * the way. Requests carry data inwards only, so changes may come from anywhere.
 */
export function readOutside(
  rule: ZoneRule,
  work: Work,
  way: { boxes: readonly string[]; regionOf: (box: string) => string },
): Refusal | undefined {
  if (rule.regions.length === 0 || work.kind !== "read") return undefined;
  // Says where the feed stands and shows none of it.
  if (work.read.kind === "feed" && work.read.fromNow && work.read.waitMs === 0) return undefined;
  for (const box of way.boxes) {
    const region = way.regionOf(box);
    if (rule.regions.includes(region)) continue;
    return refuse("DENIED", `box ${box} stands in region ${region || "unknown"}, ${allowed(rule)}; ask a box there`);
  }
  return undefined;
}

function allowed(rule: Pick<ZoneRule, "zone" | "regions">): string {
  return `data of zone ${rule.zone} stays in ${rule.regions.join(", ")}`;
}
