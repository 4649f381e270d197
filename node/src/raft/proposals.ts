import { InvariantError } from "../base/assert.ts";
import { noBytes } from "../base/bytes.ts";
import { checkedConfEntry } from "./conf.ts";
import { encodeConfChange, LEAVE_JOINT } from "./confchange/codec.ts";
import { hex, refusalTexts } from "./describe.ts";
import { localMessage, type Message, message } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { enterSoloIfDue, isLeaving } from "./regime.ts";
import { broadcastAppend } from "./replication.ts";
import { payloadSize } from "./sizes.ts";
import { configText } from "./tracker/config.ts";
import { type Entry, type EntryType, NONE, type Refusal, type Snapshot } from "./types.ts";

/** A proposal on the leader, its own or one that a follower passed on. */
export function stepProposal(r: Raft, m: Message): Refusal | undefined {
  if (m.entries.length === 0) throw new InvariantError("a proposal has at least one entry");
  const refusal = proposalRefusal(r);
  if (refusal !== undefined) return refusal;
  if (!hasRoom(r, payloadSize(m.entries))) return "ProposalDropped";
  const first = r.log.lastIndex() + 1;
  const entries = m.entries.map((entry, offset) => newEntry(r, first + offset, checkedConfEntry(r, entry, offset)));
  return appendAndSend(r, entries);
}

/** The same for data that this leader's application proposes, without a message in between. */
export function proposeHere(r: Raft, datas: readonly Uint8Array[]): Refusal | undefined {
  const refusal = proposalRefusal(r);
  if (refusal !== undefined) return refusal;
  const first = r.log.lastIndex() + 1;
  const epoch = r.regime?.leader.epoch ?? 0;
  const entries: Entry[] = [];
  for (const data of datas)
    entries.push({ index: first + entries.length, term: r.term, epoch, type: "EntryNormal", data });
  return appendAndSend(r, entries);
}

/** An entry of the leader's term and epoch that is to stand at `index`. */
function newEntry(r: Raft, index: number, { type, data }: Pick<Entry, "type" | "data">): Entry {
  return { index, term: r.term, epoch: r.regime?.leader.epoch ?? 0, type, data };
}

/** An entry without data, to stand at the end of the log. */
export function emptyEntry(r: Raft, type: EntryType): Entry {
  return newEntry(r, r.log.lastIndex() + 1, { type, data: noBytes });
}

/** Appends to the leader's log; false when the uncommitted tail has no room. Empty entries always have. */
export function appendEntries(r: Raft, entries: readonly Entry[]): boolean {
  const bytes = payloadSize(entries);
  if (!hasRoom(r, bytes)) return false;
  r.uncommittedBytes += bytes;
  // The leader's own acknowledgement: it counts when the entries are durable here.
  const own = message("MsgAppResp", r.id);
  own.index = r.log.append(entries);
  r.send(own);
  return true;
}

/** Entries up to `index`, weighing `bytes`, are applied. Leaves a joint configuration that is to be left by itself. */
export function appliedTo(r: Raft, index: number, bytes: number): void {
  const applied = Math.max(index, r.log.applied);
  r.log.appliedTo(applied, bytes);
  const { config } = r.tracker;
  if (!config.autoLeave || applied < r.pendingConfIndex || r.state !== "StateLeader" || isLeaving(r)) return;
  // May be dropped while leadership is being transferred; then the next applied entry tries again.
  const refusal = proposeConfChange(r, "EntryConfChangeV2", encodeConfChange(LEAVE_JOINT));
  if (refusal === undefined) {
    r.logger.info?.(`initiating automatic transition out of joint configuration ${configText(config)}`);
  } else {
    r.logger.debug?.(
      `not initiating automatic transition out of joint configuration ${configText(config)}: ${refusalTexts[refusal]}`,
    );
  }
}

export function appliedSnapshot(r: Raft, snapshot: Snapshot): void {
  r.log.unstable.stableSnapshotTo(snapshot.index);
  appliedTo(r, snapshot.index, 0);
}

/** Proposes the bytes of a configuration change as an entry of `type`. */
export function proposeConfChange(
  r: Raft,
  type: "EntryConfChange" | "EntryConfChangeV2",
  data: Uint8Array,
): Refusal | undefined {
  const proposal = localMessage("MsgProp", NONE);
  proposal.entries = [{ index: 0, term: 0, epoch: 0, type, data }];
  return r.step(proposal);
}

/** Whether the uncommitted tail may grow by `bytes`; an empty tail takes a proposal of any size. */
function hasRoom(r: Raft, bytes: number): boolean {
  const { uncommittedBytesMax } = r.settings;
  if (r.uncommittedBytes === 0 || bytes === 0 || r.uncommittedBytes + bytes <= uncommittedBytesMax) return true;
  r.logger.warning?.(
    `${hex(r.id)} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
  );
  return false;
}

/** A leader outside its configuration, or about to hand over, takes no proposals. */
function proposalRefusal(r: Raft): Refusal | undefined {
  if (r.draining || !r.tracker.progress.has(r.id)) return "ProposalDropped";
  if (r.leadTransferee === NONE) return undefined;
  r.logger.debug?.(
    `${hex(r.id)} [term ${r.term}] transfer leadership to ${hex(r.leadTransferee)} is in progress; dropping proposal`,
  );
  return "ProposalDropped";
}

function appendAndSend(r: Raft, entries: readonly Entry[]): Refusal | undefined {
  if (!appendEntries(r, entries)) return "ProposalDropped";
  broadcastAppend(r);
  enterSoloIfDue(r);
  return undefined;
}
