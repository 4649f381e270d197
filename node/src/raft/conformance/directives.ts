import { noBytes, utf8 } from "../../base/bytes.ts";
import { encodeConfChange } from "../confchange/codec.ts";
import { parseChanges } from "../confchange/parse.ts";
import type { RaftConfig } from "../config.ts";
import { describeMessage, refusalTexts } from "../describe.ts";
import { type MessageType, message } from "../messages.ts";
import { proposeConfChange } from "../proposals.ts";
import { isVoter } from "../quorum/joint.ts";
import { progressText } from "../tracker/tracker.ts";
import { type ConfChangeTransition, EMPTY_CONF_STATE, type Refusal } from "../types.ts";
import { type Directive, numbersOf, valuesOf } from "./datadriven.ts";
import { Environment, type Recipient } from "./environment.ts";
import { witnessHandlers, witnessSettings } from "./witness-directives.ts";

type Handler = (env: Environment, directive: Directive) => string | undefined;

/** Runs the cases of one interaction file in one environment. */
export function interactionRunner(): (directive: Directive) => string {
  const env = new Environment();
  return (directive) => {
    env.output.take();
    const handler = handlers.get(directive.command);
    const problem = handler === undefined ? "unknown command" : handler(env, directive);
    if (problem !== undefined && env.output.quiet) return problem;
    if (problem !== undefined) env.output.write(problem);
    return env.output.take() || "ok";
  };
}

const handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["_breakpoint", () => undefined],
  ["add-nodes", addNodes],
  ["campaign", campaign],
  ["compact", compact],
  ["deliver-msgs", deliver],
  ["forget-leader", forgetLeader],
  ["log-level", (env, d) => env.output.setLevel(d.args[0]?.key ?? "")],
  ["process-ready", forEach("handling Ready", (env, id) => env.processReady(id))],
  ["process-append-thread", forEach("processing append thread", (env, id) => env.processAppendThread(id))],
  ["process-apply-thread", forEach("processing apply thread", (env, id) => env.processApplyThread(id))],
  ["propose", propose],
  ["propose-conf-change", proposeChange],
  ["raft-log", printLog],
  ["raft-state", printState],
  ["report-unreachable", reportUnreachable],
  ["send-snapshot", sendSnapshot],
  ["set-randomized-election-timeout", setElectionTimeout],
  ["stabilize", stabilize],
  ["status", printStatus],
  ["tick-election", (env, d) => tick(env, d, (config) => config.electionTick)],
  ["tick-heartbeat", (env, d) => tick(env, d, (config) => config.heartbeatTick)],
  ["transfer-leadership", transferLeadership],
  ...witnessHandlers,
]);

function addNodes(env: Environment, directive: Directive): string | undefined {
  const numbers = (key: string): number[] => valuesOf(directive, key).map(Number);
  const last = (key: string): string | undefined => valuesOf(directive, key).at(-1);
  const flag = (key: string): boolean => last(key) === "true";
  const readOnly = last("read-only") ?? "safe";
  if (readOnly !== "safe" && readOnly !== "lease-based") return `invalid read-only option "${readOnly}"`;
  const index = Number(last("index") ?? 0);
  const limits: Partial<RaftConfig> = {
    ...(last("inflight") === undefined ? {} : { inflightCountMax: Number(last("inflight")) }),
    applyingBytesMax: Number(last("max-committed-size-per-ready") ?? 0),
  };
  const settings: Partial<RaftConfig> = {
    ...limits,
    applied: index,
    asyncStorageWrites: flag("async-storage-writes"),
    preVote: flag("prevote"),
    checkQuorum: flag("checkquorum"),
    disableConfChangeValidation: flag("disable-conf-change-validation"),
    readOnlyOption: readOnly === "safe" ? "ReadOnlySafe" : "ReadOnlyLeaseBased",
    stepDownOnRemoval: flag("step-down-on-removal"),
    ...witnessSettings(directive),
  };
  const confState = {
    ...EMPTY_CONF_STATE,
    voters: numbers("voters"),
    learners: numbers("learners"),
    witnesses: numbers("witnesses"),
  };
  const data = utf8(last("content") ?? "");
  return env.addNodes(firstNumber(directive), settings, { index, term: 0, epoch: 0, confState, data });
}

function campaign(env: Environment, directive: Directive): undefined {
  env.member(firstNumber(directive)).node.campaign();
}

function forgetLeader(env: Environment, directive: Directive): undefined {
  env.member(firstNumber(directive)).node.forgetLeader();
}

function compact(env: Environment, directive: Directive): string | undefined {
  const id = firstNumber(directive);
  const outcome = env.member(id).storage.compact(Number(directive.args[1]?.key));
  if (outcome === "compacted") return "requested index is unavailable due to compaction";
  env.printLog(id);
  return undefined;
}

function deliver(env: Environment, directive: Directive): string | undefined {
  const recipients: Recipient[] = [];
  for (const { key, values } of directive.args) {
    if (values.length === 0) recipients.push({ id: Number(key), drop: false });
    if (key === "drop") recipients.push(...values.map((id) => ({ id: Number(id), drop: true })));
  }
  const type = valuesOf(directive, "type").at(-1) as MessageType | undefined;
  if (env.deliver(type, recipients) === 0) env.output.write("no messages\n");
  return undefined;
}

function propose(env: Environment, directive: Directive): string | undefined {
  const data = utf8(directive.args[1]?.key ?? "");
  return refusalText(env.member(firstNumber(directive)).node.propose([data]));
}

function proposeChange(env: Environment, directive: Directive): string | undefined {
  const transitions: ReadonlyMap<string, ConfChangeTransition> = new Map([
    ["auto", "ConfChangeTransitionAuto"],
    ["implicit", "ConfChangeTransitionJointImplicit"],
    ["explicit", "ConfChangeTransitionJointExplicit"],
  ]);
  const name = valuesOf(directive, "transition").at(-1) ?? "auto";
  const transition = transitions.get(name);
  if (transition === undefined) return `unknown transition ${name}`;
  const parsed = parseChanges(directive.input);
  if (!parsed.ok) return parsed.reason;
  const single = valuesOf(directive, "v1").at(-1) === "true";
  if (single && (parsed.changes.length > 1 || name !== "auto")) {
    return "v1 conf change can only have one operation and no transition";
  }
  const data = encodeConfChange({ transition, changes: parsed.changes, context: noBytes });
  const { raft } = env.member(firstNumber(directive)).node;
  return refusalText(proposeConfChange(raft, single ? "EntryConfChange" : "EntryConfChangeV2", data));
}

function printLog(env: Environment, directive: Directive): undefined {
  env.printLog(firstNumber(directive));
}

function printState(env: Environment): undefined {
  for (const { node } of env.members) {
    const { id, state, term, lead, tracker } = node.raft;
    const role = isVoter(tracker.config.voters, id) ? "(Voter)" : "(Non-Voter)";
    env.output.write(`${id}: ${state} ${role} Term:${term} Lead:${lead}\n`);
  }
}

function printStatus(env: Environment, directive: Directive): undefined {
  const { raft } = env.member(firstNumber(directive)).node;
  if (raft.state === "StateLeader") env.output.write(progressText(raft.tracker.progress));
}

function reportUnreachable(env: Environment, directive: Directive): string | undefined {
  const [reporter, reported, ...more] = numbersOf(directive);
  if (reporter === undefined || reported === undefined || more.length > 0) {
    return "must specify exactly two node indexes: node on which to report, and reported node";
  }
  env.member(reporter).node.reportUnreachable(reported);
  return undefined;
}

function sendSnapshot(env: Environment, directive: Directive): undefined {
  const [from = 0, to = 0] = numbersOf(directive);
  const { node, storage } = env.member(from);
  const sent = message("MsgSnap", to);
  sent.from = from;
  sent.term = node.raft.term;
  sent.snapshot = storage.newest();
  env.messages.push(sent);
  env.output.write(describeMessage(sent));
}

function setElectionTimeout(env: Environment, directive: Directive): undefined {
  env.member(firstNumber(directive)).node.raft.randomizedElectionTimeout = Number(valuesOf(directive, "timeout")[0]);
}

function stabilize(env: Environment, directive: Directive): string | undefined {
  const level = env.output.level;
  for (const name of valuesOf(directive, "log-level")) {
    const problem = env.output.setLevel(name);
    if (problem !== undefined) return problem;
  }
  const named = numbersOf(directive);
  const problem = env.stabilize(
    named.length > 0 ? named : [...env.members.map(({ config }) => config.id), ...env.witnesses.keys()],
  );
  env.output.level = level;
  return problem;
}

function tick(env: Environment, directive: Directive, ticks: (config: RaftConfig) => number): undefined {
  const { node, config } = env.member(firstNumber(directive));
  for (let i = 0; i < ticks(config); i++) node.tick();
}

function transferLeadership(env: Environment, directive: Directive): undefined {
  const [from, to] = [valuesOf(directive, "from")[0], valuesOf(directive, "to")[0]];
  env.member(Number(from)).node.transferLeader(Number(to));
}

/** Runs `act` for every node named; with several, each under a heading and indented. */
function forEach(heading: string, act: (env: Environment, id: number) => string | undefined): Handler {
  return (env, directive) => {
    const ids = numbersOf(directive);
    for (const id of ids) {
      if (ids.length > 1) env.output.write(`> ${id} ${heading}\n`);
      const problem = ids.length > 1 ? env.output.indented(() => act(env, id)) : act(env, id);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function firstNumber(directive: Directive): number {
  return Number(directive.args[0]?.key);
}

function refusalText(refusal: Refusal | undefined): string | undefined {
  return refusal === undefined ? undefined : refusalTexts[refusal];
}
