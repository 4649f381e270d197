// Defaults that depend on another field, in one place. Defaults of single fields stand in the schemas.
import { durationMs } from "./duration.ts";
import type { RaftGroupSpec } from "./raft-group.ts";
import type { ZoneSpec } from "./zone.ts";

const staleReadMaxAgeDefaultMs = 5000;

/** What a zone does, with nothing left open. */
export interface ZonePolicy {
  mode: ZoneSpec["mode"];
  /** Empty outside eventual. */
  writers: "" | "authority" | "any";
  /** Empty where the mode leaves no choice. */
  locks: "" | "refuse" | "upgrade";
  readPreference: "local" | "nearest" | "leader" | "authority";
  writeConcern: "authority" | "majority" | "all";
  /** 0 outside eventual. */
  staleReadMaxAgeMs: number;
  /** Sorted; empty: any. */
  regions: string[];
}

export function policyOf(spec: ZoneSpec): ZonePolicy {
  const eventual = spec.mode === "eventual";
  const writers = eventual ? (spec.writers ?? "authority") : "";
  return {
    mode: spec.mode,
    writers,
    locks: writers === "authority" ? (spec.locks ?? "refuse") : "",
    readPreference: spec.readPreference ?? (eventual ? "local" : spec.mode === "strong_ha" ? "leader" : "authority"),
    writeConcern: spec.writeConcern ?? (spec.mode === "strong_ha" ? "majority" : "authority"),
    staleReadMaxAgeMs: eventual
      ? spec.staleReadMaxAge === undefined
        ? staleReadMaxAgeDefaultMs
        : durationMs(spec.staleReadMaxAge)
      : 0,
    regions: [...(spec.regions ?? [])].sort(),
  };
}

/** As the boxes read it (group/settings.ts): region, wan, or JSON {electionMs, heartbeatMs}. */
export function timingOf(timing: RaftGroupSpec["timing"]): string {
  if (timing.electionTimeout === undefined || timing.heartbeatInterval === undefined) return timing.profile ?? "region";
  return JSON.stringify({
    electionMs: durationMs(timing.electionTimeout),
    heartbeatMs: durationMs(timing.heartbeatInterval),
  });
}
