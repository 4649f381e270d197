import { hex } from "./describe.ts";
import { type Message, message } from "./messages.ts";
import { isVoter } from "./quorum/joint.ts";
import type { Raft } from "./raft.ts";
import { hasWitness } from "./regime.ts";
import { NONE } from "./types.ts";

/**
 * Asks the witnesses for their votes, when it is time: the own vote is durable, and the full members had a round trip
 * to answer or are known to be down. A member that answers, be it with no, can be elected itself, so that the witness is
 * left alone.
 */
export function askWitnessesIfDue(r: Raft): void {
  if (!hasWitness(r) || (r.state !== "StateCandidate" && r.state !== "StatePreCandidate")) return;
  if (r.tracker.voteOf(r.id) !== true) return;
  const open = openPeers(r);
  if (open.length === 0) return;
  const waited = r.campaignElapsed >= r.settings.witnessAskTicks;
  if (!waited && !open.every((id) => r.peersDown.has(id))) return;
  if (waited && (r.campaignElapsed - r.settings.witnessAskTicks) % r.settings.heartbeatTick !== 0) return;
  for (const id of r.tracker.config.witnesses) if (r.tracker.voteOf(id) === undefined) requestWitnessVote(r, id);
}

/**
 * The answer of a witness to `request` as a message that can be stepped. `term` is the witness's term, `ok` its grant.
 * What the request said of epoch, round and reads comes back, so that a late answer is known for what it is.
 */
export function witnessResponse(request: Message, term: number, ok: boolean): Message | undefined {
  const types = {
    MsgWitnessVote: "MsgWitnessVoteResp",
    MsgWitnessEngage: "MsgWitnessEngageResp",
    MsgWitnessPing: "MsgWitnessPingResp",
  } as const;
  const { type } = request;
  if (type !== "MsgWitnessVote" && type !== "MsgWitnessEngage" && type !== "MsgWitnessPing") return undefined;
  const response = message(types[type], request.from);
  response.from = request.to;
  response.term = term;
  response.index = request.term;
  response.epoch = request.epoch;
  response.pre = request.pre;
  response.context = request.context;
  response.reject = !ok;
  return response;
}

/** True when a witness's term has ended the own one. */
export function adoptWitnessTerm(r: Raft, m: Message): boolean {
  if (m.term <= r.term) return false;
  r.logger.info?.(
    `${hex(r.id)} [term: ${r.term}] received a ${m.type} message with higher term from ` +
      `${hex(m.from)} [term: ${m.term}]`,
  );
  r.becomeFollower(m.term, NONE);
  return true;
}

/** True when the answer is to the request of the running round. */
export function isCurrentVote(r: Raft, m: Message): boolean {
  if (r.state === "StatePreCandidate") return m.pre && m.index === r.term + 1;
  return r.state === "StateCandidate" && !m.pre && m.index === r.term;
}

/** Full voters other than this one that have not answered. */
function openPeers(r: Raft): number[] {
  const { config, progress } = r.tracker;
  const open: number[] = [];
  for (const [id, { isWitness }] of progress) {
    const asked = id !== r.id && !isWitness && isVoter(config.voters, id);
    if (asked && r.tracker.voteOf(id) === undefined) open.push(id);
  }
  return open;
}

function requestWitnessVote(r: Raft, id: number): void {
  const pre = r.state === "StatePreCandidate";
  const last = r.log.lastEntryId();
  const request = message("MsgWitnessVote", id);
  request.term = pre ? r.term + 1 : r.term;
  request.index = last.index;
  request.logTerm = last.term;
  request.epoch = r.log.epoch(last.index) ?? 0;
  request.pre = pre;
  r.logger.info?.(
    `${hex(r.id)} [logterm: ${last.term}, epoch: ${request.epoch}] sent ${request.type} request to ${hex(id)} ` +
      `at term ${r.term}`,
  );
  r.send(request);
}
