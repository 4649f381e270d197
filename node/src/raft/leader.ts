import { maybeCommit } from "./conf.ts";
import { hex } from "./describe.ts";
import { type Message, message } from "./messages.ts";
import { Mode } from "./pairsolo.ts";
import { stepProposal } from "./proposals.ts";
import type { Raft } from "./raft.ts";
import { releasePendingReads, stepReadAck, stepReadIndex } from "./reads.ts";
import { quorumHeard, requestEngagements } from "./regime.ts";
import { broadcastCommit, broadcastHeartbeat, maybeSendAppend, sendAppend, sendCommit } from "./replication.ts";
import type { Progress } from "./tracker/progress.ts";
import { NONE, type Refusal } from "./types.ts";

export function stepLeader(r: Raft, m: Message): Refusal | undefined {
  switch (m.type) {
    case "MsgBeat":
      broadcastHeartbeat(r);
      requestEngagements(r);
      return undefined;
    case "MsgCheckQuorum":
      checkQuorum(r);
      return undefined;
    case "MsgProp":
      return stepProposal(r, m);
    case "MsgReadIndex":
      return stepReadIndex(r, m);
    case "MsgForgetLeader":
      return undefined;
  }
  const progress = r.tracker.progress.get(m.from);
  if (progress === undefined) {
    r.logger.debug?.(`${hex(r.id)} no progress available for ${hex(m.from)}`);
    return undefined;
  }
  switch (m.type) {
    case "MsgAppResp":
      progress.hear();
      if (m.reject) stepRejection(r, m, progress);
      else stepAcknowledgement(r, m, progress);
      return undefined;
    case "MsgHeartbeatResp":
      progress.hear();
      progress.flowPaused = false;
      // An append brings a replica forward that lags or is being probed, and, sent empty into a full window, finds out
      // whether everything in flight was lost.
      if (progress.match < r.log.lastIndex() || progress.state === "StateProbe") sendAppend(r, m.from);
      stepReadAck(r, m);
      return undefined;
    case "MsgSnapStatus":
      stepSnapshotStatus(r, m, progress);
      return undefined;
    case "MsgUnreachable":
      if (progress.state === "StateReplicate") progress.becomeProbe();
      r.logger.debug?.(`${hex(r.id)} failed to send message to ${hex(m.from)} because it is unreachable [${progress}]`);
      return undefined;
    case "MsgTransferLeader":
      stepTransfer(r, m.from, progress);
      return undefined;
  }
  return undefined;
}

/** Steps down unless a quorum was heard from since the last check, and starts the next period. */
function checkQuorum(r: Raft): void {
  if (!quorumHeard(r)) {
    r.logger.warning?.(`${hex(r.id)} stepped down to follower since quorum is not active`);
    r.becomeFollower(r.term, NONE);
  }
  for (const [id, progress] of r.tracker.progress) if (id !== r.id) progress.recentActive = false;
}

/** The replica's log does not hold the entry before an append: goes back to where the two may agree. */
function stepRejection(r: Raft, m: Message, progress: Progress): void {
  r.logger.debug?.(
    `${hex(r.id)} received MsgAppResp(rejected, hint: (index ${m.rejectHint}, term ${m.logTerm})) from ` +
      `${hex(m.from)} for index ${m.index}`,
  );
  // Terms never fall along a log: entries of ours with a term above the hint's cannot be what the replica holds there,
  // so that one probe a term is enough.
  const probe = m.logTerm > 0 ? r.log.findConflictByTerm(m.rejectHint, m.logTerm).index : m.rejectHint;
  if (!progress.maybeDecrease(m.index, probe)) return;
  r.logger.debug?.(`${hex(r.id)} decreased progress of ${hex(m.from)} to [${progress}]`);
  if (progress.state === "StateReplicate") progress.becomeProbe();
  sendAppend(r, m.from);
}

function stepAcknowledgement(r: Raft, m: Message, progress: Progress): void {
  // An acknowledgement that is no news still ends a probe.
  const ended = progress.match === m.index && progress.state === "StateProbe";
  const former = progress.match;
  if (!progress.maybeUpdate(m.index) && !ended) return;
  resumeFlow(r, m, progress);
  if (maybeCommit(r)) {
    releasePendingReads(r);
    broadcastCommit(r);
  } else if (r.id !== m.from && progress.canBumpCommit(r.log.committed)) {
    sendCommit(r, m.from);
  }
  if (r.id === m.from) {
    requestEngagementsOnce(r, former, progress.match);
    return;
  }
  // The acknowledgement may have made room for several messages.
  while (maybeSendAppend(r, m.from, false));
  if (m.from === r.leadTransferee && progress.match === r.log.lastIndex()) {
    r.logger.info?.(`${hex(r.id)} sent MsgTimeoutNow to ${hex(m.from)} after received MsgAppResp`);
    r.send(message("MsgTimeoutNow", m.from));
  }
}

/** The own log became durable from `former` to `durable`: past the start of an epoch, the witness may be asked. */
function requestEngagementsOnce(r: Raft, former: number, durable: number): void {
  const start = r.regime?.leader.epochStart ?? 0;
  if (former < start && start <= durable) requestEngagements(r);
}

function resumeFlow(r: Raft, m: Message, progress: Progress): void {
  switch (progress.state) {
    case "StateProbe":
      progress.becomeReplicate();
      return;
    case "StateSnapshot":
      // Whichever snapshot it was, what counts is that the log reaches the replica again.
      if (progress.match + 1 < r.log.firstIndex()) return;
      r.logger.debug?.(
        `${hex(r.id)} recovered from needing snapshot, resumed sending replication messages to ` +
          `${hex(m.from)} [${progress}]`,
      );
      progress.becomeProbe();
      progress.becomeReplicate();
      return;
    case "StateReplicate":
      progress.inflights.freeThrough(m.index);
      return;
  }
}

/** The transport's report on a snapshot: the next append waits for the replica's word, or for a heartbeat. */
function stepSnapshotStatus(r: Raft, m: Message, progress: Progress): void {
  if (progress.state !== "StateSnapshot") return;
  if (m.reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  r.logger.debug?.(
    `${hex(r.id)} snapshot ${m.reject ? "failed" : "succeeded"}, resumed sending replication messages to ` +
      `${hex(m.from)} [${progress}]`,
  );
  progress.flowPaused = true;
}

/** Hands leadership over as soon as the target has the whole log; gives up after an election timeout. */
function stepTransfer(r: Raft, target: number, progress: Progress): void {
  if (progress.isLearner) {
    r.logger.debug?.(`${hex(r.id)} is learner. Ignored transferring leadership`);
    return;
  }
  if (progress.isWitness || r.regime?.leader.mode === Mode.SOLO) {
    r.logger.debug?.(`${hex(r.id)} hands leadership over to full members and in PAIR only. Ignored`);
    return;
  }
  const former = r.leadTransferee;
  if (former !== NONE) {
    if (former === target) {
      r.logger.info?.(
        `${hex(r.id)} [term ${r.term}] transfer leadership to ${hex(target)} is in progress, ignores request to ` +
          `same node ${hex(target)}`,
      );
      return;
    }
    r.leadTransferee = NONE;
    r.logger.info?.(`${hex(r.id)} [term ${r.term}] abort previous transferring leadership to ${hex(former)}`);
  }
  if (target === r.id) {
    r.logger.debug?.(`${hex(r.id)} is already leader. Ignored transferring leadership to self`);
    return;
  }
  r.logger.info?.(`${hex(r.id)} [term ${r.term}] starts to transfer leadership to ${hex(target)}`);
  r.electionElapsed = 0;
  r.leadTransferee = target;
  if (progress.match === r.log.lastIndex()) {
    r.send(message("MsgTimeoutNow", target));
    r.logger.info?.(
      `${hex(r.id)} sends MsgTimeoutNow to ${hex(target)} immediately as ${hex(target)} already has up-to-date log`,
    );
  } else {
    sendAppend(r, target);
  }
}
