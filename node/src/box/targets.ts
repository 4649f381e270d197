import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import type { LogState } from "../zones/log-state.ts";
import type { ReadPlan } from "../zones/options.ts";
import type { Directory } from "./directory.ts";

/** Leaders remembered, at most. */
const hintsMax = 10_000;

/** Who probably leads a log that this box does not lead: from the local replica, answers and refusals. */
export class LeaderHints {
  readonly #hints = new Map<number, string>();

  get(log: number): string {
    return this.#hints.get(log) ?? "";
  }
  set(log: number, box: string): void {
    if (box === "") return;
    this.#hints.delete(log);
    this.#hints.set(log, box);
    if (this.#hints.size <= hintsMax) return;
    for (const oldest of this.#hints.keys()) {
      this.#hints.delete(oldest);
      break;
    }
  }
  drop(log: number, box: string): void {
    if (this.#hints.get(log) === box) this.#hints.delete(log);
  }
}

export interface TargetQuery {
  self: string;
  rule: ZoneRule;
  local: LogState | undefined;
  hints: LeaderHints;
  directory: Directory;
  isUp: (box: string) => boolean;
  /** Measured round trip, ms; undefined while unknown. */
  roundTripMs: (box: string) => number | undefined;
  /** Boxes that must not be asked (again): those that forwarded it. */
  avoid: readonly string[];
  /** How many were asked before: walks on through the members. */
  tries: number;
}

/** The next box to ask for what only the leader does; undefined when none is left. */
export function leaderTarget(query: TargetQuery): string | undefined {
  const { self, rule, local, hints } = query;
  const allowed = (box: string) => box !== "" && box !== self && !query.avoid.includes(box);
  const believed = [local?.leaderBox ?? "", hints.get(rule.log)];
  for (const box of believed) if (allowed(box) && query.isUp(box)) return box;
  return walk(query, allowed);
}

/** What an unmeasured box in the same region, and elsewhere, counts as, ms. */
const guessedMs = { near: 1, far: 1_000 };

/** The next box to ask for a read that any replica may serve: the nearest first, then the others outwards. */
export function replicaTarget(query: TargetQuery, plan: ReadPlan): string | undefined {
  const { self, directory } = query;
  if (plan.preference === "leader" || plan.preference === "authority") return leaderTarget(query);
  const allowed = (box: string) => box !== "" && box !== self && !query.avoid.includes(box);
  const home = directory.regionOf(self);
  const isNear = (box: string) => home !== "" && directory.regionOf(box) === home;
  const distanceMs = (box: string) => query.roundTripMs(box) ?? (isNear(box) ? guessedMs.near : guessedMs.far);
  const byDistance = membersOf(query).map((box) => ({ box, ms: distanceMs(box) }));
  byDistance.sort((one, other) => one.ms - other.ms);
  return walk(
    query,
    allowed,
    byDistance.map(({ box }) => box),
  );
}

/** Connected members first, in turn; one that is not connected only when none is. */
function walk(
  query: TargetQuery,
  allowed: (box: string) => boolean,
  inTurn: readonly string[] = membersOf(query),
): string | undefined {
  const members = inTurn.filter(allowed);
  const up = members.filter(query.isUp);
  const from = up.length > 0 ? up : members;
  return from.length === 0 ? undefined : from[query.tries % from.length];
}

function membersOf({ rule, local }: TargetQuery): string[] {
  const known = local?.view.config.members ?? [];
  if (known.length === 0) return rule.members;
  return known.filter((member) => member.role !== "witness").map((member) => member.box);
}
