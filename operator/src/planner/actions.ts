import type { Condition } from "../api/conditions.ts";
import type { MemberRole } from "./desired.ts";
import type { ObservedRule } from "./observed.ts";

export interface MemberEntry {
  box: string;
  role: MemberRole;
}

/**
 * One thing to do. Every action is idempotent and guarded by what it was planned from (epoch, config index), so that
 * executing an outdated plan is refused, never harmful.
 */
export type Action =
  | { type: "ensureWorkload"; box: string; role: "Data" | "Witness"; region: string }
  | { type: "removeWorkload"; box: string }
  /** Keep everything of the box but its process. Planned anew every round for as long as it is meant. */
  | { type: "stopWorkload"; box: string }
  /** Takes the one lock under which a box may be away on purpose. */
  | { type: "acquireDisruption"; box: string }
  | { type: "releaseDisruption"; box: string }
  /** Replaces the pod if it is still that one. */
  | { type: "restartPod"; box: string; podUid: string; why: string }
  /** The pod may be evicted. Planned anew every round for as long as it is meant. */
  | { type: "allowEviction"; box: string }
  /** The one first entry, made by `on` with all `members`. */
  | { type: "bootstrap"; on: string; members: MemberEntry[]; timing: string }
  | { type: "registerBox"; box: string }
  /** It is deleted and holds nothing. The disk that is meant (hex) may be registered again. */
  | { type: "removeBox"; box: string; incarnation: string }
  /** Compare-and-set creation of a zone's log; `rule.log` is 0. */
  | { type: "ensureZone"; zone: string; group: string; members: MemberEntry[]; timing: string; rule: ObservedRule }
  /** Declares members; the leader adds learners, waits until they caught up, and goes through the joint step. */
  | {
      type: "proposeMembership";
      zone: string;
      leader: string;
      members: MemberEntry[];
      revision: number;
      hash: string;
      expectedConfigIndex: number;
    }
  /** On the box that goes on without the log's quorum, from its own copy. Executed once per epoch. */
  | { type: "recover"; on: string; zone: string; uid: string; epoch: number; abandoned: readonly string[] }
  | { type: "transfer"; zone: string; from: string; to: string }
  /** The whole next map; the boxes bring what a zone owns, its mode and its lock policy into its log on the way. */
  | { type: "installRules"; expectedEpoch: number; rules: ObservedRule[] }
  | { type: "setDrain"; box: string; on: boolean }
  /** Retention has ended; or with `abandoned` (hex) every box with a copy is gone for good: its rule goes too. */
  | { type: "destroyZone"; zone: string; abandoned?: readonly string[] }
  | { type: "raiseCondition"; object: string; condition: Condition };

/** What the action is about, for events, logs and pacing; equal subjects are the same deed. */
export function subjectOf(action: Action): string {
  switch (action.type) {
    case "ensureWorkload":
    case "removeWorkload":
    case "stopWorkload":
    case "acquireDisruption":
    case "releaseDisruption":
    case "allowEviction":
    case "registerBox":
    case "removeBox":
      return `${action.type} ${action.box}`;
    case "restartPod":
      return `restartPod ${action.box} ${action.podUid}`;
    case "setDrain":
      return `setDrain ${action.box} ${action.on}`;
    case "bootstrap":
      return `bootstrap ${action.on}`;
    case "ensureZone":
    case "destroyZone":
      return `${action.type} ${action.zone}`;
    case "proposeMembership":
      return `proposeMembership ${action.zone} ${action.hash} @${action.expectedConfigIndex}`;
    case "recover":
      return `recover ${action.zone} from ${action.on} (recovery ${action.epoch})`;
    case "transfer":
      return `transfer ${action.zone} ${action.from} -> ${action.to}`;
    case "installRules":
      return `installRules ${action.expectedEpoch + 1}`;
    case "raiseCondition":
      return `raiseCondition ${action.object} ${action.condition.type}=${action.condition.status} ${action.condition.reason}`;
  }
}
