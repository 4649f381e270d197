import type { Condition } from "../api/conditions.ts";

/** A condition as it stands in status. */
export interface StatusCondition extends Condition {
  /** When `status` last changed, RFC 3339. */
  lastTransitionTime: string;
  /** Generation of the object that this is about. */
  observedGeneration?: number;
}

/** The CRD's limit. */
const messageCharactersMax = 4096;

/**
 * The conditions to report: those of `wanted`, in its order, each with the time at which its status last changed. One
 * that is as before keeps its time, so that the same findings make the same text and no write.
 */
export function mergeConditions(
  before: readonly StatusCondition[] | undefined,
  wanted: readonly Condition[],
  at: { wallMs: number; generation: number },
): StatusCondition[] {
  const now = new Date(at.wallMs).toISOString().replace(/\.\d+Z$/, "Z");
  return wanted.map(({ type, status, reason, message }) => {
    const earlier = before?.find((condition) => condition.type === type);
    const lastTransitionTime = earlier?.status === status ? earlier.lastTransitionTime : now;
    const text = message.length > messageCharactersMax ? `${message.slice(0, messageCharactersMax - 1)}…` : message;
    return { type, status, reason, message: text, lastTransitionTime, observedGeneration: at.generation };
  });
}

/** The condition of that type. */
export function conditionOf(
  conditions: readonly StatusCondition[] | undefined,
  type: string,
): StatusCondition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
