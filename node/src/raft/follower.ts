import { InvariantError } from "../base/assert.ts";
import { switchToConfig } from "./conf.ts";
import { restore } from "./confchange/restore.ts";
import { hex } from "./describe.ts";
import { hup } from "./election.ts";
import { type Message, message } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { confStateOf, sameConfState } from "./tracker/config.ts";
import { EMPTY_SNAPSHOT, NONE, type Refusal, type Snapshot } from "./types.ts";

export function stepFollower(r: Raft, m: Message): Refusal | undefined {
  switch (m.type) {
    case "MsgProp":
      if (r.lead === NONE) {
        r.logger.info?.(`${hex(r.id)} no leader at term ${r.term}; dropping proposal`);
        return "ProposalDropped";
      }
      if (r.settings.disableProposalForwarding) {
        r.logger.info?.(`${hex(r.id)} not forwarding to leader ${hex(r.lead)} at term ${r.term}; dropping proposal`);
        return "ProposalDropped";
      }
      forward(r, m);
      return undefined;
    case "MsgApp":
      hearLeader(r, m);
      handleAppend(r, m);
      return undefined;
    case "MsgHeartbeat":
      hearLeader(r, m);
      handleHeartbeat(r, m);
      return undefined;
    case "MsgCommit":
      hearLeader(r, m);
      r.log.commitTo(m.commit);
      return undefined;
    case "MsgSnap":
      hearLeader(r, m);
      handleSnapshot(r, m);
      return undefined;
    case "MsgTransferLeader":
      if (r.lead === NONE) {
        r.logger.info?.(`${hex(r.id)} no leader at term ${r.term}; dropping leader transfer msg`);
        return undefined;
      }
      forward(r, m);
      return undefined;
    case "MsgForgetLeader":
      forgetLeader(r);
      return undefined;
    case "MsgTimeoutNow":
      r.logger.info?.(
        `${hex(r.id)} [term ${r.term}] received MsgTimeoutNow from ${hex(m.from)} and starts an election to get leadership.`,
      );
      // The leader is alive and asks for it: a PreVote round would only cost time.
      hup(r, "CampaignTransfer");
      return undefined;
    case "MsgReadIndex":
      if (r.lead === NONE) {
        r.logger.info?.(`${hex(r.id)} no leader at term ${r.term}; dropping index reading msg`);
        return undefined;
      }
      forward(r, m);
      return undefined;
    case "MsgReadIndexResp":
      takeReadIndex(r, m);
      return undefined;
  }
  return undefined;
}

/** Appends what fits, and tells the leader up to where the logs now agree, or where to look for the parting. */
export function handleAppend(r: Raft, m: Message): void {
  const response = message("MsgAppResp", m.from);
  if (m.index < r.log.committed) {
    response.index = r.log.committed;
    r.send(response);
    return;
  }
  const last = r.log.maybeAppend({ term: m.logTerm, index: m.index }, m.entries, m.commit);
  if (last !== undefined) {
    response.index = last;
    r.send(response);
    return;
  }
  r.logger.debug?.(
    `${hex(r.id)} [logterm: ${r.log.term(m.index) ?? 0}, index: ${m.index}] rejected MsgApp ` +
      `[logterm: ${m.logTerm}, index: ${m.index}] from ${hex(m.from)}`,
  );
  // Terms never fall along a log, so everything of ours with a term above the leader's at this index cannot match:
  // the hint skips it.
  const hint = r.log.findConflictByTerm(Math.min(m.index, r.log.lastIndex()), m.logTerm);
  response.index = m.index;
  response.reject = true;
  response.rejectHint = hint.index;
  response.logTerm = hint.term;
  r.send(response);
}

export function handleHeartbeat(r: Raft, m: Message): void {
  r.log.commitTo(m.commit);
  const response = message("MsgHeartbeatResp", m.from);
  response.context = m.context;
  r.send(response);
}

export function handleSnapshot(r: Raft, m: Message): void {
  const snapshot = m.snapshot ?? EMPTY_SNAPSHOT;
  const restored = restoreSnapshot(r, snapshot);
  r.logger.info?.(
    `${hex(r.id)} [commit: ${r.log.committed}] ${restored ? "restored" : "ignored"} snapshot ` +
      `[index: ${snapshot.index}, term: ${snapshot.term}]`,
  );
  const response = message("MsgAppResp", m.from);
  response.index = restored ? r.log.lastIndex() : r.log.committed;
  r.send(response);
}

function hearLeader(r: Raft, m: Message): void {
  r.electionElapsed = 0;
  r.lead = m.from;
}

function forward(r: Raft, m: Message): void {
  m.to = r.lead;
  r.send(m);
}

function takeReadIndex(r: Raft, m: Message): void {
  const [request] = m.entries;
  if (request === undefined || m.entries.length !== 1) {
    r.logger.error?.(
      `${hex(r.id)} invalid format of MsgReadIndexResp from ${hex(m.from)}, entries count: ${m.entries.length}`,
    );
    return;
  }
  r.readStates.push({ index: m.index, context: request.data });
}

function forgetLeader(r: Raft): void {
  if (r.settings.readOnlyOption === "ReadOnlyLeaseBased") {
    r.logger.error?.("ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
    return;
  }
  if (r.lead === NONE) return;
  r.logger.info?.(`${hex(r.id)} forgetting leader ${hex(r.lead)} at term ${r.term}`);
  r.lead = NONE;
}

/** Takes log and configuration from a snapshot; false when it brings nothing new or is not for this replica. */
function restoreSnapshot(r: Raft, snapshot: Snapshot): boolean {
  const { index, term, confState } = snapshot;
  if (index <= r.log.committed) return false;
  if (r.state !== "StateFollower") throw new InvariantError(`a ${r.state} was given a snapshot to restore`);
  const members = [confState.voters, confState.learners, confState.votersOutgoing];
  if (!members.some((ids) => ids.includes(r.id))) {
    r.logger.warning?.(
      `${hex(r.id)} attempted to restore snapshot but it is not in the ConfState; should never happen`,
    );
    return false;
  }
  if (r.log.matchTerm({ index, term })) {
    r.logger.info?.(`${logState(r)} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`);
    r.log.commitTo(index);
    return false;
  }
  r.log.restore(snapshot);
  const restored = restore(confState, r.log.lastIndex(), r.tracker.limits);
  if (!restored.ok) throw new InvariantError(`snapshot's configuration cannot be restored: ${restored.reason}`);
  r.configIndex = index;
  switchToConfig(r, restored);
  if (!sameConfState(confState, confStateOf(r.tracker.config))) {
    throw new InvariantError("snapshot's configuration is not canonical");
  }
  r.logger.info?.(`${logState(r)} restored snapshot [index: ${index}, term: ${term}]`);
  return true;
}

function logState(r: Raft): string {
  const last = r.log.lastEntryId();
  return `${hex(r.id)} [commit: ${r.log.committed}, lastindex: ${last.index}, lastterm: ${last.term}]`;
}
