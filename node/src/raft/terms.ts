import { equalBytes } from "../base/bytes.ts";
import { hex } from "./describe.ts";
import { CAMPAIGN_TRANSFER } from "./election.ts";
import { type Message, message } from "./messages.ts";
import { appliedSnapshot } from "./proposals.ts";
import type { Raft } from "./raft.ts";
import { NONE } from "./types.ts";

/**
 * True for a vote request of a higher term within the minimum election timeout of hearing from a leader, unless that
 * leader itself asked for the election: such a request comes from a replica that lost touch, and must not disturb.
 */
export function ignoredByLease(r: Raft, m: Message): boolean {
  if (m.type !== "MsgVote" && m.type !== "MsgPreVote") return false;
  const inLease = r.settings.checkQuorum && r.lead !== NONE && r.electionElapsed < r.settings.electionTick;
  if (!inLease || equalBytes(m.context, CAMPAIGN_TRANSFER)) return false;
  const last = r.log.lastEntryId();
  r.logger.info?.(
    `${hex(r.id)} [logterm: ${last.term}, index: ${last.index}, vote: ${hex(r.vote)}] ignored ${m.type} from ` +
      `${hex(m.from)} [logterm: ${m.logTerm}, index: ${m.index}] at term ${r.term}: lease is not expired ` +
      `(remaining ticks: ${r.settings.electionTick - r.electionElapsed})`,
  );
  return true;
}

/** Follows a message of a higher term into that term. PreVote requests and grants speak of a term to come. */
export function adoptTerm(r: Raft, m: Message): void {
  if (m.type === "MsgPreVote" || (m.type === "MsgPreVoteResp" && !m.reject)) return;
  r.logger.info?.(
    `${hex(r.id)} [term: ${r.term}] received a ${m.type} message with higher term from ` +
      `${hex(m.from)} [term: ${m.term}]`,
  );
  const fromLeader = m.type === "MsgApp" || m.type === "MsgHeartbeat" || m.type === "MsgCommit" || m.type === "MsgSnap";
  r.becomeFollower(m.term, fromLeader ? m.from : NONE);
}

export function stepLowerTerm(r: Raft, m: Message): void {
  switch (m.type) {
    case "MsgHeartbeat":
    case "MsgApp":
      // A leader of an old term that a vote request could not tell (it was ignored, or never sent): the answer's term
      // makes it step down. Without these options our own campaign will.
      if (r.settings.checkQuorum || r.settings.preVote) {
        r.send(message("MsgAppResp", m.from));
        return;
      }
      break;
    case "MsgPreVote": {
      // Answered, so that a replica with an old term but a longer log learns of ours and can be elected.
      const last = r.log.lastEntryId();
      r.logger.info?.(
        `${hex(r.id)} [logterm: ${last.term}, index: ${last.index}, vote: ${hex(r.vote)}] rejected ${m.type} from ` +
          `${hex(m.from)} [logterm: ${m.logTerm}, index: ${m.index}] at term ${r.term}`,
      );
      const response = message("MsgPreVoteResp", m.from);
      response.term = r.term;
      response.reject = true;
      r.send(response);
      return;
    }
    case "MsgStorageAppendResp":
      // The entries may have been replaced in a later term, whose own write is still under way. A snapshot is
      // committed state and stays valid in every term.
      if (m.index !== 0) {
        r.logger.info?.(
          `${hex(r.id)} [term: ${r.term}] ignored entry appends from a ${m.type} message with lower term ` +
            `[term: ${m.term}]`,
        );
      }
      if (m.snapshot !== undefined) appliedSnapshot(r, m.snapshot);
      return;
  }
  r.logger.info?.(
    `${hex(r.id)} [term: ${r.term}] ignored a ${m.type} message with lower term from ${hex(m.from)} [term: ${m.term}]`,
  );
}
