import { InvariantError } from "../base/assert.ts";
import { hex } from "./describe.ts";
import { message, NO_ENTRIES } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { pingWitnesses } from "./regime.ts";
import { payloadSize } from "./sizes.ts";
import type { Progress } from "./tracker/progress.ts";

/** Sends an append to `to`, even an empty one, unless its flow is paused. */
export function sendAppend(r: Raft, to: number): void {
  maybeSendAppend(r, to, true);
}

/**
 * Sends what `to` lacks, as far as the message limit allows: entries, or a snapshot when they are compacted. Without
 * entries a message still tells the commit index; it is sent only if `evenEmpty`. True when a message was sent.
 */
export function maybeSendAppend(r: Raft, to: number, evenEmpty: boolean): boolean {
  const progress = progressOf(r, to);
  if (progress.isWitness || progress.isPaused()) return false;
  const previousIndex = progress.next - 1;
  const previousTerm = r.log.term(previousIndex);
  if (previousTerm === undefined) return maybeSendSnapshot(r, to, progress);
  // With a full window the message stays empty, but is sent: if all in flight were lost, its answer says so.
  const full = progress.state === "StateReplicate" && progress.inflights.isFull();
  const entries = full ? NO_ENTRIES : r.log.entriesFrom(progress.next, r.settings.messageBytesMax);
  if (entries === "compacted") return evenEmpty && maybeSendSnapshot(r, to, progress);
  if (entries.length === 0 && !evenEmpty) return false;
  const append = message("MsgApp", to);
  append.index = previousIndex;
  append.logTerm = previousTerm;
  append.entries = entries;
  append.commit = r.log.committed;
  r.send(append);
  progress.sentEntries(entries.length, payloadSize(entries));
  progress.sentCommit = r.log.committed;
  return true;
}

export function broadcastAppend(r: Raft): void {
  for (const id of r.tracker.progress.keys()) if (id !== r.id) sendAppend(r, id);
}

/** The commit index moved: everyone is told, together with what they lack. */
export function broadcastCommit(r: Raft): void {
  for (const id of r.tracker.progress.keys()) if (id !== r.id) sendCommit(r, id);
}

/** Tells `to` the commit index: one that holds what is committed and lacks nothing needs no append, nobody its answer. */
export function sendCommit(r: Raft, to: number): void {
  const progress = progressOf(r, to);
  const { committed } = r.log;
  const isSent = progress.state === "StateReplicate" && progress.next > r.log.lastIndex();
  const isNotice = r.settings.quietCommits && isSent && progress.match >= committed;
  if (!isNotice || progress.isWitness) return sendAppend(r, to);
  if (progress.sentCommit >= committed) return;
  const notice = message("MsgCommit", to);
  notice.commit = committed;
  r.send(notice);
  progress.sentCommit = committed;
}

/** Heartbeats to everyone; their answers confirm the reads that wait. */
export function broadcastHeartbeat(r: Raft): void {
  const context = r.readOnly.heartbeatContext();
  pingWitnesses(r, context);
  for (const [id, progress] of r.tracker.progress) {
    if (id === r.id || progress.isWitness) continue;
    const heartbeat = message("MsgHeartbeat", id);
    // Never beyond what the replica is known to hold: it may not have the rest, or something else in its place.
    heartbeat.commit = Math.min(progress.match, r.log.committed);
    heartbeat.context = context;
    r.send(heartbeat);
    progress.sentCommit = heartbeat.commit;
  }
}

function progressOf(r: Raft, id: number): Progress {
  const progress = r.tracker.progress.get(id);
  if (progress === undefined) throw new InvariantError(`replica ${id} has no progress`);
  return progress;
}

function maybeSendSnapshot(r: Raft, to: number, progress: Progress): boolean {
  if (!progress.recentActive) {
    r.logger.debug?.(`ignore sending snapshot to ${hex(to)} since it is not recently active`);
    return false;
  }
  const snapshot = r.log.snapshot();
  if (snapshot === "unavailable") {
    r.logger.debug?.(`${hex(r.id)} failed to send snapshot to ${hex(to)} because snapshot is temporarily unavailable`);
    return false;
  }
  if (snapshot.index === 0) throw new InvariantError("the log is compacted, but there is no snapshot");
  r.logger.debug?.(
    `${hex(r.id)} [firstindex: ${r.log.firstIndex()}, commit: ${r.log.committed}] sent ` +
      `snapshot[index: ${snapshot.index}, term: ${snapshot.term}] to ${hex(to)} [${progress}]`,
  );
  progress.becomeSnapshot(snapshot.index);
  r.logger.debug?.(`${hex(r.id)} paused sending replication messages to ${hex(to)} [${progress}]`);
  const send = message("MsgSnap", to);
  send.snapshot = snapshot;
  r.send(send);
  return true;
}
