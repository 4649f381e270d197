import { utf8 } from "../base/bytes.ts";
import { hex } from "./describe.ts";
import { handleAppend, handleHeartbeat, handleSnapshot } from "./follower.ts";
import { type Message, type MessageType, message } from "./messages.ts";
import { jointIds } from "./quorum/joint.ts";
import { sortedIds } from "./quorum/majority.ts";
import type { Raft } from "./raft.ts";
import { broadcastAppend } from "./replication.ts";
import { type EntryId, NONE, type Refusal } from "./types.ts";
import { askWitnessesIfDue } from "./witness-vote.ts";

/** A PreVote round, a real election, or a real election that the leader asked for. */
export type CampaignType = "CampaignPreElection" | "CampaignElection" | "CampaignTransfer";

/** Context of the vote requests of a transfer: they are granted although the leader is alive. */
export const CAMPAIGN_TRANSFER = utf8("CampaignTransfer");

/** Starts a campaign, if this replica may. */
export function hup(r: Raft, type: CampaignType): void {
  if (r.state === "StateLeader") {
    r.logger.debug?.(`${hex(r.id)} ignoring MsgHup because already leader`);
    return;
  }
  if (!r.promotable()) {
    r.logger.warning?.(`${hex(r.id)} is unpromotable and can not campaign`);
    return;
  }
  if (hasUnappliedConfChanges(r)) {
    r.logger.warning?.(
      `${hex(r.id)} cannot campaign at term ${r.term} since there are still pending configuration changes to apply`,
    );
    return;
  }
  r.logger.info?.(`${hex(r.id)} is starting a new election at term ${r.term}`);
  campaign(r, type);
}

/** A vote request, real or asked for a term to come. Learners vote too: the candidate may know of their promotion. */
export function stepVoteRequest(r: Raft, m: Message): void {
  const last = r.log.lastEntryId();
  const free = r.vote === NONE && r.lead === NONE;
  const canVote = r.vote === m.from || free || (m.type === "MsgPreVote" && m.term > r.term);
  const granted = canVote && r.log.isUpToDate({ term: m.logTerm, index: m.index });
  r.logger.info?.(
    `${hex(r.id)} [logterm: ${last.term}, index: ${last.index}, vote: ${hex(r.vote)}] ` +
      `${granted ? "cast" : "rejected"} ${m.type} ${granted ? "for" : "from"} ${hex(m.from)} ` +
      `[logterm: ${m.logTerm}, index: ${m.index}] at term ${r.term}`,
  );
  const response = message(voteResponseType(m.type), m.from);
  // A grant answers in the term asked for, or the pre-candidate, which has not moved yet, would take it for old.
  response.term = granted ? m.term : r.term;
  response.reject = !granted;
  r.send(response);
  if (granted && m.type === "MsgVote") {
    r.electionElapsed = 0;
    r.vote = m.from;
  }
}

/** Candidates and pre-candidates; each counts only the answers to its own kind of request. */
export function stepCandidate(r: Raft, m: Message): Refusal | undefined {
  switch (m.type) {
    case "MsgProp":
      r.logger.info?.(`${hex(r.id)} no leader at term ${r.term}; dropping proposal`);
      return "ProposalDropped";
    case "MsgApp":
      r.becomeFollower(m.term, m.from);
      handleAppend(r, m);
      return undefined;
    case "MsgHeartbeat":
      r.becomeFollower(m.term, m.from);
      handleHeartbeat(r, m);
      return undefined;
    case "MsgCommit":
      r.becomeFollower(m.term, m.from);
      r.log.commitTo(m.commit);
      return undefined;
    case "MsgSnap":
      r.becomeFollower(m.term, m.from);
      handleSnapshot(r, m);
      return undefined;
    case "MsgPreVoteResp":
      if (r.state === "StatePreCandidate") countVote(r, m);
      return undefined;
    case "MsgVoteResp":
      if (r.state === "StateCandidate") countVote(r, m);
      return undefined;
    case "MsgTimeoutNow":
      r.logger.debug?.(`${hex(r.id)} [term ${r.term} state ${r.state}] ignored MsgTimeoutNow from ${hex(m.from)}`);
      return undefined;
  }
  return undefined;
}

/** Takes the answer of a voter to the running round, and draws the consequence when it decides. */
export function countVote(r: Raft, m: Message): void {
  const verdict = m.reject ? " rejection" : "";
  r.logger.info?.(`${hex(r.id)} received ${m.type}${verdict} from ${hex(m.from)} at term ${r.term}`);
  r.tracker.recordVote(m.from, !m.reject);
  const { granted, rejected, result } = r.tracker.tallyVotes();
  r.logger.info?.(`${hex(r.id)} has received ${granted} ${m.type} votes and ${rejected} vote rejections`);
  if (result === "VoteLost") {
    // A PreVote answer may carry the term asked for; the own one stands.
    r.becomeFollower(r.term, NONE);
  } else if (result === "VotePending") {
    askWitnessesIfDue(r);
  } else if (result === "VoteWon") {
    if (r.state === "StatePreCandidate") {
      campaign(r, "CampaignElection");
    } else {
      r.becomeLeader();
      broadcastAppend(r);
    }
  }
}

function campaign(r: Raft, type: CampaignType): void {
  const pre = type === "CampaignPreElection";
  if (pre) r.becomePreCandidate();
  else r.becomeCandidate();
  r.campaignElapsed = 0;
  const requestType = pre ? "MsgPreVote" : "MsgVote";
  const term = pre ? r.term + 1 : r.term;
  const last = r.log.lastEntryId();
  for (const id of sortedIds(jointIds(r.tracker.config.voters))) {
    if (r.tracker.config.witnesses.has(id)) continue;
    if (id === r.id) {
      // The own vote too counts once it is durable.
      const own = message(voteResponseType(requestType), id);
      own.term = term;
      r.send(own);
      continue;
    }
    requestVote(r, { to: id, type: requestType, term, last, transfer: type === "CampaignTransfer" });
  }
}

interface VoteRequest {
  readonly to: number;
  readonly type: "MsgPreVote" | "MsgVote";
  readonly term: number;
  readonly last: EntryId;
  readonly transfer: boolean;
}

function requestVote(r: Raft, { to, type, term, last, transfer }: VoteRequest): void {
  r.logger.info?.(
    `${hex(r.id)} [logterm: ${last.term}, index: ${last.index}] sent ${type} request to ${hex(to)} at term ${r.term}`,
  );
  const request = message(type, to);
  request.term = term;
  request.index = last.index;
  request.logTerm = last.term;
  if (transfer) request.context = CAMPAIGN_TRANSFER;
  r.send(request);
}

function voteResponseType(request: MessageType): "MsgVoteResp" | "MsgPreVoteResp" {
  return request === "MsgVote" ? "MsgVoteResp" : "MsgPreVoteResp";
}

/** True while a committed configuration change waits to be applied: who campaigns then may count the wrong votes. */
function hasUnappliedConfChanges(r: Raft): boolean {
  const end = r.log.committed + 1;
  const pageBytes = r.log.applyingBytesMax;
  for (let lo = r.log.applied + 1; lo < end; ) {
    const page = r.log.slice(lo, end, pageBytes);
    if (page === "compacted") return true;
    if (page.some(({ type }) => type === "EntryConfChange" || type === "EntryConfChangeV2")) return true;
    lo += page.length;
  }
  return false;
}
