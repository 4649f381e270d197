/** A mistake planted into a copy of the code: `from` must stand in `file` (below node/src) exactly once. */
export interface Mutant {
  name: string;
  file: string;
  from: string;
  to: string;
}

const machineSnapshot = "machine/snapshot.ts";
const pairSolo = "raft/pairsolo.ts";
const witness = "raft/witness.ts";
const witnessServer = "witness/server.ts";

const witnessMutants: readonly Mutant[] = [
  {
    name: "the witness grants by term alone",
    file: witness,
    from: "if (vote.lastTerm !== record.engTerm) return vote.lastTerm > record.engTerm;",
    to: "if (vote.lastTerm >= 0) return true;",
  },
  {
    name: "a vote touches the engagement",
    file: witness,
    from: "next = { ...next, votedFor: vote.cand };",
    to: "next = { ...next, votedFor: vote.cand, engHolder: vote.cand };",
  },
  {
    name: "the order of engagements is ignored",
    file: witness,
    from: "const rank = this.rank(next, engage);",
    to: "const rank = 1;",
  },
  {
    name: "the witness votes twice a term",
    file: witness,
    from: "return record.votedFor === undefined || record.votedFor === cand;",
    to: "return record.votedFor === undefined || record.votedFor !== cand || true;",
  },
  {
    name: "the witness answers before its write is durable",
    file: witnessServer,
    from: "if (this.#needs.store.dirty) {\n          this.counters.writes++;",
    to:
      "for (const { answer, replies } of served.splice(0)) answer(replies);\n" +
      "        if (this.#needs.store.dirty) {\n          this.counters.writes++;",
  },
  {
    name: "a wiped witness that joins again keeps its identity",
    file: witnessServer,
    from: "const incarnation = Buffer.from(this.#needs.newIncarnation());",
    to: "const incarnation = Buffer.alloc(16, log);",
  },
  {
    name: "a witness record is made on demand",
    file: witnessServer,
    from: "const group = this.#needs.store.get(incarnation);",
    to:
      "if (this.#needs.store.get(incarnation) === undefined) " +
      "this.#needs.store.put({ log: request.log, generation: request.generation, record: this.#rules.join(incarnation) }); " +
      "const group = this.#needs.store.get(incarnation);",
  },
  {
    name: "an engagement reply of an older SOLO counts",
    file: pairSolo,
    from: "return reply.ok && reply.term === ownTerm && leader.mode === Mode.SOLO && reply.epoch === leader.epoch;",
    to: "return reply.ok && reply.term === ownTerm;",
  },
  {
    name: "the right of SOLO is not checked against every half",
    file: pairSolo,
    from: "return this.quorum(view.halves, (id) => id === self ||",
    to: "return this.quorum(view.halves.slice(0, 1), (id) => id === self ||",
  },
  {
    name: "SOLO alone gives the right to read locally",
    file: pairSolo,
    from: "(view.isWitness(id) && this.isEngaged(leader, id)));\n  },\n\n  mayTransfer",
    to: "view.isWitness(id));\n  },\n\n  mayTransfer",
  },
];

const raftMutants: readonly Mutant[] = [
  {
    name: "an append is acknowledged before the local write is durable",
    file: "group/turns.ts",
    from: "startedMs, durable: writes.length === 0, refused: false };",
    to: "startedMs, durable: true, refused: false };\n    if (writes.length > 0) this.#write(append);",
  },
  {
    name: "an entry of an older term is committed by count",
    file: "raft/log.ts",
    from: "if (id.term === 0 || id.index <= this.committed || !this.matchTerm(id)) return false;",
    to: "if (id.term === 0 || id.index <= this.committed || id.index > this.lastIndex()) return false;",
  },
  {
    name: "a learner is counted",
    file: "raft/tracker/tracker.ts",
    from: "return jointCommitted(this.config.voters, this.#acked);",
    to:
      "return jointCommitted({ incoming: this.config.voters.incoming, outgoing: this.config.voters.outgoing }, (id) => " +
      "Math.max(this.#acked(id) ?? 0, ...[...this.progress.values()].filter((one) => one.isLearner).map((one) => one.match)));",
  },
  {
    name: "one majority is enough in a joint change",
    file: "raft/quorum/joint.ts",
    from: "return config.outgoing.size === 0 ? incoming : Math.min(incoming, majorityCommitted(config.outgoing, acked));",
    to: "return config.outgoing.size === 0 ? incoming : Math.max(incoming, majorityCommitted(config.outgoing, acked));",
  },
  {
    name: "the log may be cut below the commit index",
    file: "raft/log.ts",
    from: "if (!this.matchTerm(previous)) return undefined;\n    const conflict",
    to: "if (previous.index > this.lastIndex()) return undefined;\n    const conflict",
  },
  {
    name: "a read is answered without confirming that the leader still leads",
    file: "raft/reads.ts",
    from: 'if (r.readOnly.option === "ReadOnlyLeaseBased" || mayReadLocally(r)) {',
    to: "if (r.id > 0) {",
  },
  {
    name: "the commit index is not durable",
    file: "group/replica.ts",
    from: "this.#hardState = { term: work.term, vote: work.vote, commit: work.commit };\n    const { entries",
    to: "this.#hardState = { term: work.term, vote: work.vote, commit: 1 };\n    const { entries",
  },
  {
    name: "the vote is not durable",
    file: "group/replica.ts",
    from: "if (entries.length === 0 && snapshot === undefined && !voted) return undefined;",
    to: "if (entries.length === 0 && snapshot === undefined) return undefined;",
  },
  {
    name: "an append is acknowledged before its chunks are here",
    file: "group/chunk-hold.ts",
    from: "const missing = this.#missing(m);\n    if (missing.length === 0) return false;",
    to: "const missing = this.#missing(m);\n    if (missing.length >= 0) return false;",
  },
];

const recoveryMutants: readonly Mutant[] = [
  {
    name: "a recovery drops the last entry of its copy",
    file: "group/lost-quorum.ts",
    from: "kept.map(withoutMembers)",
    to: "kept.slice(0, -1).map(withoutMembers)",
  },
  {
    name: "a recovery leaves the witness the record of the lost leader",
    file: "group/lost-quorum.ts",
    from: "const kept = await this.#giveUpRecords(found, call);",
    to: "const kept = found.log < 0 ? await this.#giveUpRecords(found, call) : undefined;",
  },
];

const machineMutants: readonly Mutant[] = [
  {
    name: "remembered requests are missing from the snapshot",
    file: machineSnapshot,
    from: "  for (const { key, value } of pairs) {\n",
    to: '  for (const { key, value } of pairs) {\n    if ("eqb".includes(key[0]!)) continue;\n',
  },
  {
    name: "the fence counter is not restored",
    file: "machine/counters.ts",
    from: "for (const field of fields) if (!reader.done) out[field] = reader.varint();",
    to: "for (const field of fields) if (!reader.done) out[field] = reader.varint();\n  out.fence = out.locksHeld;",
  },
  {
    name: "any fence above the last one accepted is taken",
    file: "machine/conditions.ts",
    from: "if (holders.some((h) => h.counter === condition.fenceCounter && h.generation === condition.fenceGeneration))",
    to: "if (holders.length === 0 || holders.some((h) => h.counter <= condition.fenceCounter))",
  },
  {
    name: "a request is executed again after its answer was forgotten",
    file: "machine/requests.ts",
    from: "if (requestTimeMs < state.logTimeMs - requestWindowMs) {",
    to: "if (requestTimeMs < 0) {",
  },
  {
    name: "a repeated request is executed again",
    file: "machine/requests.ts",
    from: "if (known) {\n    const reply = recall(state, known);",
    to: "if (known && state.logTimeMs < 0) {\n    const reply = recall(state, known);",
  },
  {
    name: "lock timers are not restarted by a new leader",
    file: "group/locks.ts",
    from: "for (const lock of held) this.#set(lock, nowMs + lock.grant.ttlMs);",
    to: "for (const lock of held) if (nowMs < 0) this.#set(lock, nowMs + lock.grant.ttlMs);",
  },
  {
    name: "an expiry ends a lock that was extended meanwhile",
    file: "machine/locks.ts",
    from: "if (holder && holder.extendSeq === operation.extendSeq) endGrant",
    to: "if (holder) endGrant",
  },
  {
    name: "a zone serves a subtree that it has ceded",
    file: "machine/ownership.ts",
    from: "if (this.#everything || this.owns(path)) return undefined;",
    to: "if (path.length > 0) return undefined;",
  },
];

const logMutants: readonly Mutant[] = [
  {
    name: "a torn tail is taken for corruption",
    file: "log/recover.ts",
    from: "if (nextHeader !== undefined) this.#damage(read, nextHeader.previousEnd, nextHeader.previousCrc);\n",
    to:
      "if (read.bytes.subarray(this.offset).some((byte) => byte !== 0)) this.#lost(segment, 'rest');\n" +
      "      if (nextHeader !== undefined) this.#damage(read, nextHeader.previousEnd, nextHeader.previousCrc);\n",
  },
  {
    name: "corruption is taken for a torn tail",
    file: "log/recover.ts",
    from: "const next = evidence(read.bytes, { segment, offset: this.offset }, salt);\n      if (next !== undefined) {",
    to: "const next = evidence(read.bytes, { segment, offset: this.offset }, salt);\n      if (next !== undefined && next.lengthBytes < 0) {",
  },
];

export const mutants: readonly Mutant[] = [
  ...witnessMutants,
  ...raftMutants,
  ...recoveryMutants,
  ...machineMutants,
  ...logMutants,
];
