// Conditions that status carries. kstatus reads Ready, Reconciling and Stalled; the others say what on-call asks first.
import type { Kind } from "./kinds.ts";

export type ConditionStatus = "True" | "False" | "Unknown";

export interface Condition {
  type: string;
  status: ConditionStatus;
  /** One word for machines. */
  reason: string;
  /** One sentence for people. */
  message: string;
}

/** Every condition type that a kind may carry. */
export const conditionTypes: Record<Kind, readonly string[]> = {
  Federation: ["Ready", "Reconciling", "Stalled"],
  Box: ["Ready", "Reconciling", "Stalled", "Managed", "Available", "CaughtUp", "Fenced", "DiskPressure"],
  RaftGroup: [
    "Ready",
    "Reconciling",
    "Stalled",
    "QuorumHealthy",
    "DegradedDurability",
    "MembershipChanging",
    "SpecConflict",
    "FaultDomainsShared",
  ],
  ConsensusZone: ["Ready", "Reconciling", "Stalled", "Installed", "ModeChanging", "Degraded", "DataLost"],
  Mount: ["Ready", "Reconciling", "Stalled", "Linked"],
};
