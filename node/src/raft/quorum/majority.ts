/** Voters that decide by majority. The empty set agrees with everything, so that it can be half of a joint quorum. */
export type MajorityConfig = ReadonlySet<number>;

/** The index a voter has acknowledged, or undefined when nothing is known of it. */
export type AckedIndex = (voter: number) => number | undefined;

export type VoteResult = "VotePending" | "VoteLost" | "VoteWon";

export function sortedIds(ids: Iterable<number>): number[] {
  return [...ids].sort((left, right) => left - right);
}

/** The largest index that a majority has acknowledged; Infinity for the empty configuration. */
export function majorityCommitted(config: MajorityConfig, acked: AckedIndex): number {
  const size = config.size;
  if (size === 0) return Number.POSITIVE_INFINITY;
  const indexes: number[] = [];
  for (const id of config) {
    const index = acked(id) ?? 0;
    let at = indexes.length;
    indexes.push(index);
    for (; at > 0 && (indexes[at - 1] as number) > index; at--) indexes[at] = indexes[at - 1] as number;
    indexes[at] = index;
  }
  return indexes[size - (Math.floor(size / 2) + 1)] as number;
}

export function majorityVote(config: MajorityConfig, votes: ReadonlyMap<number, boolean>): VoteResult {
  if (config.size === 0) return "VoteWon";
  let granted = 0;
  let missing = 0;
  for (const id of config) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const needed = Math.floor(config.size / 2) + 1;
  if (granted >= needed) return "VoteWon";
  return granted + missing >= needed ? "VotePending" : "VoteLost";
}

export function majorityText(config: MajorityConfig): string {
  return `(${sortedIds(config)
    .map((id) => id.toString(16))
    .join(" ")})`;
}

/** A picture of the acknowledged indexes, one line a voter: the i-th largest has a bar of length i. */
export function describeMajority(config: MajorityConfig, acked: AckedIndex): string {
  if (config.size === 0) return "<empty majority quorum>";
  const size = config.size;
  const rows = sortedIds(config).map((id) => ({ id, index: acked(id), bar: 0 }));
  const byIndex = [...rows].sort((left, right) => (left.index ?? 0) - (right.index ?? 0) || left.id - right.id);
  for (let i = 1; i < byIndex.length; i++) {
    const [below, row] = [byIndex[i - 1], byIndex[i]];
    if (below && row) row.bar = (below.index ?? 0) < (row.index ?? 0) ? i : below.bar;
  }
  const lines = rows.map(({ id, index, bar }) => {
    const mark = index === undefined ? `?${" ".repeat(size)}` : `${"x".repeat(bar)}>${" ".repeat(size - bar)}`;
    return `${mark} ${String(index ?? 0).padStart(5)}    (id=${id.toString(16)})\n`;
  });
  return `${" ".repeat(size)}    idx\n${lines.join("")}`;
}
