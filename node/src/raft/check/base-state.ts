import type { WitnessRecord } from "../witness.ts";

/**
 * States of the base model: full members 0 (A) and 1 (B), witness 2 (W), and a network that is a set of messages, any
 * of which may arrive at any time, any number of times, or never. Logs are packed integers: entry k (from 0) is the
 * five bits term × 4 + epoch, 0 where the log ends.
 */

export const W = 2;
export const Role = { Follower: 0, Candidate: 1, Leader: 2 } as const;
export const ENTRIES_MAX = 6;
export const EPOCHS_MAX = 3;
export const TERMS_MAX = 7;

export interface Member {
  term: number;
  /** Id + 1 of the candidate voted for in `term`; 0: none. */
  vote: number;
  role: number;
  /** Bit set of the ids that voted for this candidate. */
  votes: number;
  log: number;
  length: number;
  /** Entries that survive a restart; below `length` only when the model has unsynced tails. */
  durable: number;
  /** Of a leader: entries known durable on the other member. */
  match: number;
  /** Of a leader: 1 in SOLO. */
  solo: number;
  epoch: number;
  /** Of a leader: wAcked of the witness, as epoch + 1; 0: none. */
  acked: number;
}

export type Held = WitnessRecord<number> | undefined;

export interface State {
  members: [Member, Member];
  /** What the witness process knows; undefined: it has no record of the group. */
  witness: Held;
  /** What is on its disk. Equal to `witness` unless a mutant replies early. */
  disk: Held;
  /** Every entry ever committed, packed like a log, and three bits each for the term of the committing leader. */
  committed: number;
  committedBy: number;
  /** Ascending, without repetition. */
  soup: number[];
}

export const Kind = {
  Vote: 1,
  WitnessVote: 2,
  VoteReply: 3,
  Append: 4,
  AppendReply: 5,
  Engage: 6,
  EngageReply: 7,
} as const;

export interface Message {
  kind: number;
  from: number;
  to: number;
  term: number;
  /** Vote: last term. AppendReply: length. Engage and its reply: epoch. */
  a: number;
  /** Vote: length. WitnessVote: last epoch. EngageReply: ok. */
  b: number;
  /** Append: the whole log. */
  log: number;
}

const HEAD = 1 << 17;

export function pack(m: Message): number {
  return m.log * HEAD + (m.kind | (m.from << 3) | (m.to << 5) | (m.term << 7) | (m.a << 10) | (m.b << 13));
}

export function unpack(code: number): Message {
  const head = code % HEAD;
  return {
    kind: head & 7,
    from: (head >> 3) & 3,
    to: (head >> 5) & 3,
    term: (head >> 7) & 7,
    a: (head >> 10) & 7,
    b: (head >> 13) & 7,
    log: (code - head) / HEAD,
  };
}

export function send(state: State, code: number): void {
  const { soup } = state;
  let at = soup.length;
  while (at > 0 && soup[at - 1]! > code) at--;
  if (at > 0 && soup[at - 1] === code) return;
  soup.splice(at, 0, code);
}

export function entryAt(log: number, index: number): number {
  return (log >> (5 * index)) & 31;
}

export function termAt(log: number, index: number): number {
  return entryAt(log, index) >> 2;
}

export function lengthOf(log: number): number {
  return log === 0 ? 0 : Math.floor((31 - Math.clz32(log)) / 5) + 1;
}

export function lastTerm(member: Member): number {
  return member.length === 0 ? 0 : termAt(member.log, member.length - 1);
}

export function lastEpoch(member: Member): number {
  return member.length === 0 ? 0 : entryAt(member.log, member.length - 1) & 3;
}

export function append(member: Member, synced: boolean): void {
  member.log |= ((member.term << 2) | member.epoch) << (5 * member.length);
  member.length++;
  if (synced) member.durable = member.length;
}

export function cloneState(state: State): State {
  const [a, b] = state.members;
  return {
    members: [{ ...a }, { ...b }],
    witness: state.witness,
    disk: state.disk,
    committed: state.committed,
    committedBy: state.committedBy,
    soup: state.soup.slice(),
  };
}

export const NEW_MEMBER: Member = {
  term: 0,
  vote: 0,
  role: Role.Follower,
  votes: 0,
  log: 0,
  length: 0,
  durable: 0,
  match: 0,
  solo: 0,
  epoch: 0,
  acked: 0,
};

const swapId = (id: number): number => (id < 2 ? 1 - id : id);
const swapVote = (vote: number): number => (vote === 0 ? 0 : swapId(vote - 1) + 1);
const swapBits = (bits: number): number => (bits & ~3) | ((bits & 1) << 1) | ((bits >> 1) & 1);

function writeMember(member: Member, swap: boolean, out: Uint8Array, start: number): number {
  let at = start;
  out[at++] = member.term | (member.role << 3) | (member.length << 5);
  out[at++] = (swap ? swapVote(member.vote) : member.vote) | ((swap ? swapBits(member.votes) : member.votes) << 2);
  out[at++] = member.match | (member.solo << 3) | (member.epoch << 4);
  out[at++] = member.acked | (member.durable << 3);
  return writeInt(member.log, out, at);
}

function writeInt(value: number, out: Uint8Array, at: number): number {
  out[at] = value & 255;
  out[at + 1] = (value >> 8) & 255;
  out[at + 2] = (value >> 16) & 255;
  out[at + 3] = (value >> 24) & 255;
  return at + 4;
}

function readInt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function writeRecord(record: Held, swap: boolean, out: Uint8Array, at: number): number {
  if (record === undefined) {
    out.fill(255, at, at + 3);
    return at + 3;
  }
  const id = (of: number | undefined): number => (of === undefined ? 0 : (swap ? swapId(of) : of) + 1);
  out[at] = record.term | (id(record.votedFor) << 3) | (record.incarnation << 5);
  out[at + 1] = record.engTerm | (id(record.engHolder) << 3);
  out[at + 2] = record.engEpoch;
  return at + 3;
}

function readRecord(bytes: Uint8Array, at: number): Held {
  if (bytes[at + 2] === 255) return undefined;
  const vote = (bytes[at]! >> 3) & 3;
  const holder = (bytes[at + 1]! >> 3) & 3;
  return {
    incarnation: bytes[at]! >> 5,
    term: bytes[at]! & 7,
    votedFor: vote === 0 ? undefined : vote - 1,
    engTerm: bytes[at + 1]! & 7,
    engEpoch: bytes[at + 2]!,
    engHolder: holder === 0 ? undefined : holder - 1,
  };
}

function write(state: State, swap: boolean, out: Uint8Array): number {
  let at = writeMember(state.members[swap ? 1 : 0], swap, out, 0);
  at = writeMember(state.members[swap ? 0 : 1], swap, out, at);
  at = writeRecord(state.witness, swap, out, at);
  at = writeRecord(state.disk, swap, out, at);
  at = writeInt(state.committed, out, at);
  at = writeInt(state.committedBy, out, at);
  for (const code of swap ? state.soup.map(swapMessage).sort((x, y) => x - y) : state.soup) {
    at = writeInt((code % 0x100000000) | 0, out, at);
    const high = Math.floor(code / 0x100000000);
    out[at++] = high & 255;
    out[at++] = high >> 8;
  }
  return at;
}

function swapMessage(code: number): number {
  const m = unpack(code);
  return pack({ ...m, from: swapId(m.from), to: swapId(m.to) });
}

const swapped = new Uint8Array(1024);

/** The plain key, for models in which A and B differ. */
export function encodePlain(state: State, out: Uint8Array): number {
  return write(state, false, out);
}

/** The key is the lesser of the state and its mirror image: the rules do not know A from B. */
export function encode(state: State, out: Uint8Array): number {
  const length = write(state, false, out);
  write(state, true, swapped);
  for (let i = 0; i < length; i++) {
    const difference = swapped[i]! - out[i]!;
    if (difference > 0) break;
    if (difference < 0) {
      for (let j = i; j < length; j++) out[j] = swapped[j]!;
      break;
    }
  }
  return length;
}

function readMember(bytes: Uint8Array, at: number): Member {
  return {
    term: bytes[at]! & 7,
    role: (bytes[at]! >> 3) & 3,
    length: bytes[at]! >> 5,
    vote: bytes[at + 1]! & 3,
    votes: bytes[at + 1]! >> 2,
    match: bytes[at + 2]! & 7,
    solo: (bytes[at + 2]! >> 3) & 1,
    epoch: bytes[at + 2]! >> 4,
    acked: bytes[at + 3]! & 7,
    durable: bytes[at + 3]! >> 3,
    log: readInt(bytes, at + 4),
  };
}

export function decode(bytes: Uint8Array): State {
  const soup: number[] = [];
  for (let at = 30; at < bytes.length; at += 6) {
    soup.push((readInt(bytes, at) >>> 0) + (bytes[at + 4]! | (bytes[at + 5]! << 8)) * 0x100000000);
  }
  return {
    members: [readMember(bytes, 0), readMember(bytes, 8)],
    witness: readRecord(bytes, 16),
    disk: readRecord(bytes, 19),
    committed: readInt(bytes, 22),
    committedBy: readInt(bytes, 26),
    soup,
  };
}

function showLog(log: number): string {
  const entries: string[] = [];
  for (let k = 0; k < lengthOf(log); k++) entries.push(`${termAt(log, k)}.${entryAt(log, k) & 3}`);
  return entries.join(" ");
}

export function show(state: State): string {
  const members = state.members.map((m, i) => {
    const lead =
      m.role === Role.Leader
        ? ` ${m.solo ? "SOLO" : "PAIR"} e${m.epoch} match${m.match}${m.acked ? " engaged" : ""}`
        : "";
    const tail = m.durable < m.length ? ` durable${m.durable}` : "";
    return `${"AB"[i]}{t${m.term} v${m.vote} ${"FCL"[m.role]} [${showLog(m.log)}]${tail}${lead}}`;
  });
  const w = state.witness;
  const witness =
    w === undefined
      ? "no record"
      : `t${w.term} v${(w.votedFor ?? -1) + 1} eng(${w.engTerm},${w.engEpoch})@${"AB"[w.engHolder ?? 9] ?? "-"}`;
  return `${members.join(" ")} W{${witness}} committed[${showLog(state.committed)}]`;
}
