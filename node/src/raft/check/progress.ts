import { assert } from "../../base/assert.ts";
import { BaseModel } from "./base.ts";
import { type BaseBounds, type BaseRules, baseRules } from "./base-rules.ts";
import { encode, lastTerm, lengthOf, Role, type State, show, W } from "./base-state.ts";
import { explore, KEY_BYTES_MAX, type Model, StateSet } from "./explore.ts";

/** A situation in which the group must be able to commit again, and the one that is lost in it for good. */
interface Situation {
  readonly state: State;
  readonly dead: number;
  readonly name: string;
}

export interface ProgressReport {
  readonly situations: number;
  /** A situation from which no order of steps commits anything, with the state it starts in. */
  readonly stuck: string | undefined;
}

/** Steps granted beyond the bounds of the situation, enough for two elections and two changes of mode. */
const FURTHER = { terms: 2, entries: 3, epochs: 2 };
/** More states than the survivors can have within `FURTHER`. */
const STATES_MAX = 400_000;

/**
 * Checks progress in the sense "some order of steps leads to a commit": from every reachable PAIR state with both logs
 * equal after any one permanent loss, and from every engaged SOLO state after a restart of its leader, the peer being
 * lost. Messages under way are dropped first, which only takes ways out away.
 */
export function checkProgress(bounds: BaseBounds, rules: BaseRules = baseRules): ProgressReport {
  const seen = new StateSet();
  const key = new Uint8Array(KEY_BYTES_MAX);
  let situations = 0;
  let stuck: string | undefined;
  const visit = (state: State): void => {
    if (stuck !== undefined) return;
    for (const situation of situationsOf(state)) {
      const length = encode(situation.state, key);
      key[length] = situation.dead === W ? W : situation.state.members[situation.dead]!.role;
      if (!seen.add(key, length + 1, 0)) continue;
      situations++;
      if (canCommit(situation, bounds, rules)) continue;
      stuck = `stuck: ${situation.name}: ${show(situation.state)}`;
      return;
    }
  };
  const reached = explore(new BaseModel(bounds, rules), 5_000_000, visit);
  assert(reached.exhausted, "the bounds of a progress check must be exhaustible");
  return { situations, stuck };
}

function situationsOf(state: State): Situation[] {
  const found: Situation[] = [];
  for (let i = 0; i < 2; i++) {
    const leader = state.members[i]!;
    const other = state.members[1 - i]!;
    if (leader.role !== Role.Leader || leader.term < other.term || lastTerm(leader) !== leader.term) continue;
    const equal = leader.match === leader.length && other.length === leader.length && leader.durable === leader.length;
    if (leader.solo === 0 && equal) {
      const healthy = { ...state, soup: [] };
      for (const dead of [0, 1, W]) found.push({ state: healthy, dead, name: `PAIR, then ${"ABW"[dead]} is lost` });
    }
    if (leader.solo === 1 && leader.acked === leader.epoch + 1 && (state.witness?.term ?? 0) <= leader.term) {
      const members: State["members"] = [{ ...state.members[0] }, { ...state.members[1] }];
      const restarted = members[i]!;
      restarted.role = Role.Follower;
      restarted.length = restarted.durable;
      restarted.log &= 2 ** (5 * restarted.durable) - 1;
      Object.assign(restarted, { match: 0, solo: 0, epoch: 0, acked: 0 });
      found.push({
        state: { ...state, members, soup: [] },
        dead: 1 - i,
        name: `SOLO engaged, then ${"AB"[i]} restarts`,
      });
    }
  }
  return found;
}

/** Breadth-first search for a commit; "violation" is the goal here. */
function canCommit(situation: Situation, bounds: BaseBounds, rules: BaseRules): boolean {
  const further: BaseBounds = {
    ...bounds,
    terms: bounds.terms + FURTHER.terms,
    entries: bounds.entries + FURTHER.entries,
    epochs: bounds.epochs + FURTHER.epochs,
    dead: situation.dead,
  };
  const base = new BaseModel(further, rules, situation.state);
  const before = lengthOf(situation.state.committed);
  const goal: Model<State> = {
    start: () => base.start(),
    encode: base.encode,
    decode: base.decode,
    show: base.show,
    successors: (state, emit) => base.successors(state, emit),
    violation: (state) => (lengthOf(state.committed) > before ? "committed" : undefined),
  };
  const search = explore(goal, STATES_MAX);
  assert(search.exhausted, "a progress search must end within its limit of states");
  return search.violation !== undefined;
}
