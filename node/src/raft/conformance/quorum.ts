import { describeJoint, type JointConfig, jointCommitted, jointIds, jointVote } from "../quorum/joint.ts";
import {
  type AckedIndex,
  describeMajority,
  type MajorityConfig,
  majorityCommitted,
  majorityVote,
  sortedIds,
} from "../quorum/majority.ts";
import { type Directive, valuesOf } from "./datadriven.ts";

const NO_VOTERS: MajorityConfig = new Set();

/** Runs one case of a quorum file: `committed` or `vote`, of one majority (cfg) or of two (cfg and cfgj). */
export function runQuorumCase(directive: Directive): string {
  const ids = valuesOf(directive, "cfg").map(Number);
  const jointValues = valuesOf(directive, "cfgj");
  const outgoing = jointValues.filter((value) => value !== "zero").map(Number);
  const config: JointConfig = { incoming: new Set(ids), outgoing: new Set(outgoing) };
  const votes = valuesOf(directive, "votes").map((value) => ["_", "n", "y"].indexOf(value));
  const indexes = valuesOf(directive, "idx").map((value) => (value === "_" ? 0 : Number(value)));
  const inputs = directive.command === "vote" ? votes : indexes;

  const voters = sortedIds(jointIds(config));
  if (voters.length !== inputs.length) {
    const printed = `map[${voters.map((id) => `${id}:{}`).join(" ")}]`;
    return `error: mismatched input (explicit or _) for voters ${printed}: [${inputs.join(" ")}]`;
  }
  const known = assign(inputs, [...ids, ...outgoing]);
  const joint = jointValues.length > 0;
  switch (directive.command) {
    case "committed": {
      const acked = (id: number): number | undefined => known.get(id);
      return joint ? jointCommittedCase(config, acked) : majorityCommittedCase(config.incoming, known);
    }
    case "vote": {
      const given = new Map([...known].map(([id, value]) => [id, value === 2]));
      return joint ? jointVoteCase(config, given) : `${majorityVote(config.incoming, given)}\n`;
    }
    default:
      throw new Error(`unknown command ${directive.command}`);
  }
}

/** Gives the inputs to the ids in order, each id once; 0 stands for no information. */
function assign(inputs: readonly number[], ids: readonly number[]): Map<number, number> {
  const distinct = [...new Set(ids)];
  const pairs = distinct.map((id, at): [number, number] => [id, inputs[at] ?? 0]);
  return new Map(pairs.filter(([, value]) => value !== 0));
}

function majorityCommittedCase(config: MajorityConfig, known: ReadonlyMap<number, number>): string {
  const acked: AckedIndex = (id) => known.get(id);
  const index = majorityCommitted(config, acked);
  let text = describeMajority(config, acked);
  const compare = (other: number, how: string): void => {
    if (other !== index) text += `${indexText(other)} <-- ${how}\n`;
  };
  compare(slowCommitted(config, acked), "via alternative computation");
  compare(jointCommitted({ incoming: config, outgoing: NO_VOTERS }, acked), "via zero-joint quorum");
  compare(jointCommitted({ incoming: config, outgoing: config }, acked), "via self-joint quorum");
  for (const id of config) {
    const own = known.get(id) ?? 0;
    if (index <= own || own === 0) continue;
    for (const lower of [own - 1, 0]) {
      const overlaid = majorityCommitted(config, (other) => (other === id ? lower : known.get(other)));
      compare(overlaid, `overlaying ${id}->${lower}`);
    }
  }
  return `${text}${indexText(index)}\n`;
}

function jointCommittedCase(config: JointConfig, acked: AckedIndex): string {
  const index = jointCommitted(config, acked);
  const swapped = jointCommitted({ incoming: config.outgoing, outgoing: config.incoming }, acked);
  const symmetry = swapped === index ? "" : `${indexText(swapped)} <-- via symmetry\n`;
  return `${describeJoint(config, acked)}${symmetry}${indexText(index)}\n`;
}

function jointVoteCase(config: JointConfig, votes: ReadonlyMap<number, boolean>): string {
  const result = jointVote(config, votes);
  const swapped = jointVote({ incoming: config.outgoing, outgoing: config.incoming }, votes);
  return `${swapped === result ? "" : `${swapped} <-- via symmetry\n`}${result}\n`;
}

/** The obvious way: the largest acknowledged index that a majority has reached. */
function slowCommitted(config: MajorityConfig, acked: AckedIndex): number {
  if (config.size === 0) return Number.POSITIVE_INFINITY;
  let best = 0;
  for (const id of config) {
    const index = acked(id) ?? 0;
    const reached = [...config].filter((other) => (acked(other) ?? -1) >= index).length;
    if (index > best && reached > config.size / 2) best = index;
  }
  return best;
}

function indexText(index: number): string {
  return index === Number.POSITIVE_INFINITY ? "∞" : String(index);
}
