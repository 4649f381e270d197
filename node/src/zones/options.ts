import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import type { RequestOptions } from "@nexus-federation/proto/request.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { decodeToken } from "../base/token.ts";
import { show } from "../tree/path.ts";

export type Mode = "strong" | "strong_ha" | "eventual";
export type ReadPreference = "local" | "nearest" | "leader" | "authority";
export type WriteConcern = "authority" | "majority" | "all";

interface ModeTraits {
  defaultRead: ReadPreference;
  defaultWrite: WriteConcern;
  /** One voter decides alone: it is the authority. */
  authority: boolean;
  /** Reads are bounded-stale unless they ask for more. */
  staleByDefault: boolean;
}

export const modeTraits: Record<Mode, ModeTraits> = {
  strong: { defaultRead: "authority", defaultWrite: "authority", authority: true, staleByDefault: false },
  strong_ha: { defaultRead: "leader", defaultWrite: "majority", authority: false, staleByDefault: false },
  eventual: { defaultRead: "local", defaultWrite: "authority", authority: true, staleByDefault: true },
};

const readPreferences: readonly string[] = ["local", "nearest", "leader", "authority"];
const writeConcerns: readonly string[] = ["authority", "majority", "all"];

/** Bound of a stale read in an eventual zone that declares none, ms. */
export const defaultStaleMs = 5_000;
/** A demand above it is a mistake, not a wish. */
const copiesMax = 32;
export const requestIdBytes = 16;

export interface ReadPlan {
  preference: ReadPreference;
  /** The caller or the zone named it, so that no other replica may stand in. */
  explicit: boolean;
  /** Largest staleness allowed in ms; 0 = linearizable. */
  maxStalenessMs: number;
}

export interface WritePlan {
  /** Full members that must hold it durably before the answer; 0 = what the mode's commit gives. */
  copies: number | "all";
}

/** The mode of a rule that the log engine serves, or why it does not. */
export function modeOf(rule: ZoneRule): Mode | Refusal {
  const served = rule.mode === "strong" || rule.mode === "strong_ha";
  if (served || (rule.mode === "eventual" && rule.writers !== "any")) return rule.mode as Mode;
  const name = rule.mode === "eventual" ? "eventual with writers: any" : rule.mode;
  return refuse("UNSUPPORTED_IN_MODE", `zone ${rule.zone} has mode ${name}, which this version does not serve`);
}

/** Why options can be meant by no zone, whatever the request does: said before anything else is looked at. */
export function optionsRefusal(options: RequestOptions): Refusal | undefined {
  const { readPreference, writeConcern, after, minCopies, requestId } = options;
  if (readPreference !== "" && !readPreferences.includes(readPreference)) {
    return refuse("INVALID", `readPreference is local, nearest, leader or authority; ${show(readPreference)} came`);
  }
  if (writeConcern !== "" && !writeConcerns.includes(writeConcern)) {
    return refuse("INVALID", `writeConcern is authority, majority or all; ${show(writeConcern)} came`);
  }
  if (after.length > 0 && decodeToken(after) === undefined) {
    return refuse("INVALID", "after is the token of an earlier receipt; something else came");
  }
  if (minCopies > copiesMax) return refuse("INVALID", `minCopies is at most ${copiesMax}; ${minCopies} came`);
  if (requestId.length === 0 || requestId.length === requestIdBytes) return undefined;
  return refuse("INVALID", `a request id has ${requestIdBytes} bytes; ${requestId.length} came`);
}

/** What a read may do, or the refusal of a wish that the mode cannot honour. */
export function planRead(rule: ZoneRule, options: RequestOptions): ReadPlan | Refusal {
  const mode = modeOf(rule);
  if (typeof mode !== "string") return mode;
  const traits = modeTraits[mode];
  const asked = options.readPreference || rule.readPreference;
  if (asked !== "" && !readPreferences.includes(asked)) {
    return refuse("INVALID", `readPreference is local, nearest, leader or authority; ${asked} came`);
  }
  if (asked === "authority" && !traits.authority) {
    return refuse(
      "UNSUPPORTED_IN_MODE",
      `zone ${rule.zone} has mode ${mode}: it has no authority box; ask for leader instead`,
    );
  }
  const preference = (asked || traits.defaultRead) as ReadPreference;
  const atLeader = preference === "leader" || preference === "authority";
  const byZone = traits.staleByDefault && !atLeader ? rule.staleReadMaxAgeMs || defaultStaleMs : 0;
  return {
    preference,
    explicit: options.readPreference !== "",
    maxStalenessMs: options.maxStalenessMs ?? byZone,
  };
}

/** What must hold before a write is acknowledged, or the refusal of a wish that the mode cannot honour. */
export function planWrite(rule: ZoneRule, options: RequestOptions): WritePlan | Refusal {
  const mode = modeOf(rule);
  if (typeof mode !== "string") return mode;
  const concern = options.writeConcern || rule.writeConcern || modeTraits[mode].defaultWrite;
  if (!writeConcerns.includes(concern)) {
    return refuse("INVALID", `writeConcern is authority, majority or all; ${concern} came`);
  }
  if (concern === "authority" && !modeTraits[mode].authority) {
    return refuse(
      "UNSUPPORTED_IN_MODE",
      `zone ${rule.zone} has mode ${mode}: writeConcern authority would acknowledge what is not committed`,
    );
  }
  return optionsRefusal(options) ?? { copies: concern === "all" ? "all" : options.minCopies };
}
