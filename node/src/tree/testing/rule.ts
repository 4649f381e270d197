import { ZoneRule } from "@nexus-federation/proto/records.ts";

/** An active rule of a strong zone with what is given, everything else as it comes unset from the wire. */
export function ruleOf(given: Partial<ZoneRule> & Pick<ZoneRule, "zone">): ZoneRule {
  return { ...ZoneRule.decode(new Uint8Array(0)), mode: "strong", state: "active", generation: 1, ...given };
}
