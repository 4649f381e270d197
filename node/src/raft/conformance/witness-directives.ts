import { utf8 } from "../../base/bytes.ts";
import type { RaftConfig } from "../config.ts";
import { witnessRules } from "../witness.ts";
import { type Directive, numbersOf, valuesOf } from "./datadriven.ts";
import type { Environment } from "./environment.ts";

type Handler = (env: Environment, directive: Directive) => string | undefined;

/** What our own transcripts need beyond the directives of etcd-io/raft. */
export const witnessHandlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["add-witness", addWitness],
  ["drain", drain],
  ["mode", printMode],
  ["peer-down", peerDown],
  ["read-index", readIndex],
  ["restart", restart],
  ["tick", tick],
  ["witness-state", printWitness],
]);

/** The witness settings of `add-nodes`, in ticks. */
export function witnessSettings(directive: Directive): Partial<RaftConfig> {
  const number = (key: string): number | undefined => {
    const value = valuesOf(directive, key).at(-1);
    return value === undefined ? undefined : Number(value);
  };
  return {
    soloAfterTicks: number("solo-after"),
    witnessAskTicks: number("witness-ask"),
    soloDwellTicks: number("solo-dwell"),
    pairLagMax: number("pair-lag"),
  };
}

/** `add-witness 3`: a fresh witness record, which takes part from now on. */
function addWitness(env: Environment, directive: Directive): undefined {
  for (const id of numbersOf(directive)) env.witnesses.set(id, witnessRules.join(id));
}

/** `drain 1` */
function drain(env: Environment, directive: Directive): undefined {
  for (const id of numbersOf(directive)) env.member(id).node.setDraining(true);
}

/** `mode 1`: what the node, as a leader, counts on. */
function printMode(env: Environment, directive: Directive): undefined {
  for (const id of numbersOf(directive)) {
    const { regime } = env.member(id).node.raft;
    const engaged = [...(regime?.leader.wAcked.keys() ?? [])].join(" ");
    env.output.write(
      regime === undefined
        ? `${id}: no leader\n`
        : `${id}: ${regime.leader.mode} epoch=${regime.leader.epoch} engaged=(${engaged})\n`,
    );
  }
}

/** `peer-down 1 2`: node 1 learns from its transport that 2 is down. */
function peerDown(env: Environment, directive: Directive): undefined {
  const [id = 0, peer = 0] = numbersOf(directive);
  env.member(id).node.setPeerDown(peer, true);
}

/** `read-index 1 context` */
function readIndex(env: Environment, directive: Directive): undefined {
  const [id, context] = directive.args;
  env.member(Number(id?.key)).node.readIndex(utf8(context?.key ?? ""));
}

/** `restart 1`: a crash and a new start from storage. */
function restart(env: Environment, directive: Directive): undefined {
  for (const id of numbersOf(directive)) env.restart(id, {});
}

/** `tick 1 count=3` */
function tick(env: Environment, directive: Directive): undefined {
  const count = Number(valuesOf(directive, "count").at(-1) ?? 1);
  for (const id of numbersOf(directive)) for (let i = 0; i < count; i++) env.member(id).node.tick();
}

/** `witness-state 3` */
function printWitness(env: Environment, directive: Directive): undefined {
  for (const id of numbersOf(directive)) {
    const record = env.witnesses.get(id);
    if (record === undefined) return undefined;
    const { term, votedFor = 0, engTerm, engEpoch, engHolder = 0 } = record;
    env.output.write(`${id}: Term:${term} Vote:${votedFor} Engaged:${engTerm}.${engEpoch} by ${engHolder}\n`);
  }
  return undefined;
}
