// What a mistyped name may have meant.

/** Names that are listed at most; a longer list says how many more there are. */
const listedMax = 12;

/** "Did you mean main? RaftGroups: main, other." or, with nothing alike, only the list. */
export function nearest(name: string, label: string, known: readonly string[]): string {
  const list =
    known.length === 0
      ? "there is none."
      : `${label} ${known.slice(0, listedMax).join(", ")}${known.length > listedMax ? ` and ${known.length - listedMax} more` : ""}.`;
  const close = alike(name, known);
  return close === undefined ? `${list}` : `did you mean ${close}? ${list}`;
}

/** The known name that differs least, when it differs little: at most a third of its letters. */
export function alike(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const each of known) {
    const edits = editsBetween(name, each);
    if (edits >= least || edits > Math.max(1, Math.floor(Math.max(name.length, each.length) / 3))) continue;
    best = each;
    least = edits;
  }
  return best;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let edits = Math.min(replace, row[j]! + 1, next[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, before[j - 2]! + 1);
      next.push(edits);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
