import type { Observed } from "../planner/observed.ts";
import { ruleText } from "../planner/rules-plan.ts";
import type { KubeObject } from "../runtime/objects.ts";

/**
 * In which rule map each zone's rule was installed last. The map has one epoch for all its rules, so this is what was
 * seen: the epoch at which the rule's text changed. What an earlier operator saw stands in the object's status.
 */
export class RuleEpochs {
  readonly #seen = new Map<string, { text: string; epoch: number }>();

  /** 0 while no rule of the zone is in the map. */
  of(zone: string, object: KubeObject, observed: Observed): number {
    const rule = observed.rules.find((each) => each.zone === zone && each.state !== "detached");
    if (rule === undefined) {
      if (observed.systemServes) this.#seen.delete(zone);
      return this.#seen.get(zone)?.epoch ?? 0;
    }
    const text = ruleText(rule);
    const seen = this.#seen.get(zone);
    if (seen?.text === text) return seen.epoch;
    const epoch = seen === undefined ? (reportedEpoch(object, observed.epoch) ?? observed.epoch) : observed.epoch;
    this.#seen.set(zone, { text, epoch });
    return epoch;
  }
}

/** What the status says, when it says it of this very spec. */
function reportedEpoch({ metadata, status }: KubeObject, newest: number): number | undefined {
  const said = status as { epoch?: number; observedGeneration?: number } | undefined;
  if (said?.epoch === undefined || said.observedGeneration !== metadata.generation) return undefined;
  return said.epoch <= newest ? said.epoch : undefined;
}
