import type { WitnessRecord } from "../witness.ts";

/**
 * States of the membership model: full nodes 0 to 2 (A, B, C), witnesses 3 and 4 (W, X). Requests take effect at once
 * on the receiver while the reply may be lost; only engage replies may be late, each in a slot of its (witness,
 * leader). An entry is one byte: term × 32 + epoch × 4 + type.
 */

export const FULL = 3;
export const NAMES = ["A", "B", "C", "W", "X"];
export const Role = { Follower: 0, Candidate: 1, Leader: 2 } as const;
export const Type = { Normal: 0, Empty: 1, Enter: 2, Leave: 3 } as const;

export interface Node {
  term: number;
  /** Id + 1 voted for; 0: none. */
  vote: number;
  role: number;
  votes: number;
  log: number[];
  /** Durable commit index, as a count of entries. */
  commit: number;
  /** Entries applied; configuration entries take effect here. */
  applied: number;
  solo: number;
  epoch: number;
  /** Of a leader, for witnesses 3 and 4: epoch + 1 it is engaged for; 0: none. */
  acked: number[];
  /** Of a leader: entries known durable, by full node. */
  match: number[];
}

export type Held = WitnessRecord<number> | undefined;

/** A late engage reply: term and epoch; term 0: none. */
export interface Slot {
  term: number;
  epoch: number;
}

export interface State {
  nodes: Node[];
  witnesses: Held[];
  /** By (witness - 3) × 3 + leader. */
  slots: Slot[];
  /** Every entry ever committed and the term of the leader that did. */
  committed: number[];
  committedBy: number[];
}

export const entry = (term: number, epoch: number, type: number): number => (term << 5) | (epoch << 2) | type;
export const termOf = (e: number | undefined): number => (e === undefined ? 0 : e >> 5);
export const epochOf = (e: number | undefined): number => (e === undefined ? 0 : (e >> 2) & 7);
export const typeOf = (e: number): number => e & 3;
export const isConf = (e: number): boolean => typeOf(e) >= Type.Enter;

export function cloneState(s: State): State {
  return {
    nodes: s.nodes.map((n) => ({ ...n, log: n.log.slice(), acked: n.acked.slice(), match: n.match.slice() })),
    witnesses: s.witnesses.slice(),
    slots: s.slots.slice(),
    committed: s.committed.slice(),
    committedBy: s.committedBy.slice(),
  };
}

export function stepDown(node: Node): void {
  node.role = Role.Follower;
  node.votes = 0;
  node.solo = 0;
  node.epoch = 0;
  node.acked = [0, 0];
  node.match = [0, 0, 0];
}

/** All nodes at term 1 with one committed entry, A leading. */
export function initial(witnesses: Held[]): State {
  const nodes: Node[] = [];
  for (let i = 0; i < FULL; i++) {
    nodes.push({
      term: 1,
      vote: 1,
      role: Role.Follower,
      votes: 0,
      log: [entry(1, 0, Type.Empty)],
      commit: 1,
      applied: 1,
      solo: 0,
      epoch: 0,
      acked: [0, 0],
      match: [0, 0, 0],
    });
  }
  nodes[0]!.role = Role.Leader;
  nodes[0]!.match = [0, 1, 1];
  const slots = Array.from({ length: 6 }, () => ({ term: 0, epoch: 0 }));
  return { nodes, witnesses, slots, committed: [entry(1, 0, Type.Empty)], committedBy: [1] };
}

export function encode(s: State, out: Uint8Array): number {
  let at = 0;
  for (const n of s.nodes) {
    out[at++] = n.term | (n.vote << 3) | (n.role << 5);
    out[at++] = n.votes | (n.solo << 5);
    out[at++] = n.epoch | (n.acked[0]! << 4);
    out[at++] = n.acked[1]! | (n.log.length << 4);
    out[at++] = n.commit | (n.applied << 4);
    out[at++] = n.match[0]! | (n.match[1]! << 4);
    out[at++] = n.match[2]!;
    for (const e of n.log) out[at++] = e;
  }
  for (const w of s.witnesses) {
    out[at++] = w === undefined ? 255 : w.term | (((w.votedFor ?? -1) + 1) << 3);
    if (w === undefined) continue;
    out[at++] = w.engTerm | (w.engEpoch << 3);
    out[at++] = (w.engHolder ?? -1) + 1;
  }
  for (const slot of s.slots) out[at++] = slot.term | (slot.epoch << 3);
  out[at++] = s.committed.length;
  for (let k = 0; k < s.committed.length; k++) {
    out[at++] = s.committed[k]!;
    out[at++] = s.committedBy[k]!;
  }
  return at;
}

export function decode(bytes: Uint8Array): State {
  let at = 0;
  const nodes: Node[] = [];
  for (let i = 0; i < FULL; i++) {
    const [a, b, c, d, e, f, g] = bytes.subarray(at, at + 7) as unknown as number[] & { length: 7 };
    at += 7;
    const length = d! >> 4;
    nodes.push({
      term: a! & 7,
      vote: (a! >> 3) & 3,
      role: a! >> 5,
      votes: b! & 31,
      solo: b! >> 5,
      epoch: c! & 15,
      acked: [c! >> 4, d! & 15],
      commit: e! & 15,
      applied: e! >> 4,
      match: [f! & 15, f! >> 4, g!],
      log: Array.from(bytes.subarray(at, at + length)),
    });
    at += length;
  }
  const witnesses: Held[] = [];
  for (let j = 0; j < 2; j++) {
    const head = bytes[at++]!;
    if (head === 255) {
      witnesses.push(undefined);
      continue;
    }
    const engagement = bytes[at++]!;
    const holder = bytes[at++]!;
    witnesses.push({
      incarnation: FULL + j,
      term: head & 7,
      votedFor: head >> 3 === 0 ? undefined : (head >> 3) - 1,
      engTerm: engagement & 7,
      engEpoch: engagement >> 3,
      engHolder: holder === 0 ? undefined : holder - 1,
    });
  }
  const slots: Slot[] = [];
  for (let k = 0; k < 6; k++) {
    const slot = bytes[at++]!;
    slots.push({ term: slot & 7, epoch: slot >> 3 });
  }
  const committed: number[] = [];
  const committedBy: number[] = [];
  for (let left = bytes[at++]!; left > 0; left--) {
    committed.push(bytes[at++]!);
    committedBy.push(bytes[at++]!);
  }
  return { nodes, witnesses, slots, committed, committedBy };
}

const showEntry = (e: number): string => `${termOf(e)}.${epochOf(e)}${"- EX"[typeOf(e)]}`;

export function show(s: State): string {
  const nodes = s.nodes.map((n, i) => {
    const lead = n.role === Role.Leader ? ` ${n.solo ? "SOLO" : "PAIR"} e${n.epoch} acked[${n.acked}]` : "";
    return `${NAMES[i]}{t${n.term} ${"FCL"[n.role]} [${n.log.map(showEntry).join(" ")}] c${n.commit} a${n.applied}${lead}}`;
  });
  const witnesses = s.witnesses.map((w, j) =>
    w === undefined
      ? `${NAMES[FULL + j]}{no record}`
      : `${NAMES[FULL + j]}{t${w.term} v${(w.votedFor ?? -1) + 1} eng(${w.engTerm},${w.engEpoch})@${NAMES[w.engHolder ?? 9] ?? "-"}}`,
  );
  return `${nodes.join(" ")} ${witnesses.join(" ")} committed${s.committed.length}`;
}
