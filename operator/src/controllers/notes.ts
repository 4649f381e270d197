import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { Action } from "../planner/actions.ts";
import type { EventNote } from "../runtime/api.ts";

/** Object that an action is about, "Kind/name"; undefined: the federation as a whole. */
export function aboutOf(action: Action): string | undefined {
  if ("zone" in action) return action.zone === systemZone ? undefined : `ConsensusZone/${action.zone}`;
  if ("box" in action) return `Box/${action.box}`;
  if (action.type === "bootstrap") return `Box/${action.on}`;
  return undefined;
}

/** What `kubectl describe` shows of a deed, or of its refusal. */
export function noteOf(action: Action, refusal: string | undefined): EventNote {
  const word = action.type.charAt(0).toUpperCase() + action.type.slice(1);
  if (refusal !== undefined) return { type: "Warning", reason: "Refused", action: word, message: refusal };
  return { type: "Normal", reason: reasons[action.type] ?? "AsDeclared", action: word, message: sentenceOf(action) };
}

const reasons: Partial<Record<Action["type"], string>> = {
  restartPod: "Outdated",
  transfer: "LeaderGoes",
  allowEviction: "NodeLeaves",
  acquireDisruption: "ItsTurn",
  releaseDisruption: "Back",
};

function sentenceOf(action: Action): string {
  switch (action.type) {
    case "bootstrap":
      return `The federation was started with ${action.members.map((each) => each.box).join(", ")}.`;
    case "registerBox":
      return "The federation knows its disk and address now.";
    case "ensureZone":
      return `The zone's log exists on ${action.members.map((each) => each.box).join(", ")}.`;
    case "proposeMembership":
      return `Members declared: ${action.members.map((each) => `${each.box} (${each.role})`).join(", ")}.`;
    case "transfer":
      return `Zone ${action.zone} was handed over from ${action.from} to ${action.to}.`;
    case "installRules":
      return `Rule map ${action.expectedEpoch + 1} was installed (${action.rules.length} rules).`;
    case "setDrain":
      return action.on ? "It hands over what it leads." : "It may lead again.";
    case "destroyZone":
      return action.abandoned
        ? "It was given up: its rule is out, and nothing of it is left."
        : "Its retention is over: its data was destroyed.";
    case "removeBox":
      return "The federation knows it no more.";
    case "acquireDisruption":
      return "It is its turn to be away on purpose.";
    case "releaseDisruption":
      return "It is back; another box may be away now.";
    case "restartPod":
      return `Its pod is replaced: ${action.why}.`;
    case "allowEviction":
      return "Its pod may be evicted.";
    default:
      return `${action.type}.`;
  }
}
