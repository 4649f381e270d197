import type { LockGrant, Receipt, ZoneRule } from "@nexus-federation/proto/records.ts";
import { printFence } from "../base/fence.ts";
import { encodeToken } from "../base/token.ts";
import type { GroupView } from "../group/api.ts";
import type { Places } from "./ports.ts";

export interface ReceiptFacts {
  rule: ZoneRule;
  epoch: number;
  generation: number;
  /** Index that the answer stands for. */
  index: number;
  stalenessMs: number;
  /** Full members known to hold `index` durably: never more than true. */
  boxes: readonly string[];
  /** `boxes` are all that hold it: a leader's knowledge. Otherwise there may be more. */
  boxesAreAll: boolean;
  logTimeMs: number;
  grant?: LockGrant;
}

/** Says what was had, not what was hoped for. */
export function receiptOf(facts: ReceiptFacts, places: Places): Receipt {
  const { rule, generation, index, boxes } = facts;
  return {
    zone: rule.zone,
    mode: rule.mode,
    epoch: facts.epoch,
    generation,
    index,
    stalenessMs: Math.ceil(facts.stalenessMs),
    copies: boxes.length,
    regions: regionsOf(boxes, places),
    degraded: facts.boxesAreAll && boxes.length < rule.copiesDeclared,
    fence: facts.grant ? printFence(facts.grant.generation, facts.grant.counter) : "",
    logTimeMs: facts.logTimeMs,
    token: encodeToken({ log: rule.log, generation, index }),
  };
}

function regionsOf(boxes: readonly string[], places: Places): string[] {
  const regions: string[] = [];
  for (const box of boxes) {
    const region = places.regionOf(box);
    if (region !== "" && !regions.includes(region)) regions.push(region);
  }
  return regions.length < 2 ? regions : regions.sort();
}

/**
 * Full members known here to hold `index` durably. A follower knows only of itself for certain, and of nobody beyond
 * that: the count is a lower bound.
 */
export function holdersOf(view: GroupView, index: number): string[] {
  const boxes: string[] = [];
  for (const member of view.progress) {
    // A box that replaces itself stands twice; what its former disk acknowledged is gone.
    const replaced = view.progress.some((other) => other.box === member.box && other.replica > member.replica);
    if (member.role !== "witness" && member.match >= index && !replaced) boxes.push(member.box);
  }
  return boxes;
}
