import type { ConfChangeSingle, ConfChangeType } from "../types.ts";

const types: ReadonlyMap<string, ConfChangeType> = new Map([
  ["v", "ConfChangeAddNode"],
  ["l", "ConfChangeAddLearnerNode"],
  ["r", "ConfChangeRemoveNode"],
  ["u", "ConfChangeUpdateNode"],
  ["w", "ConfChangeAddWitness"],
]);
const letters = new Map([...types].map(([letter, type]) => [type, letter]));

export type ParsedChanges =
  | { readonly ok: true; readonly changes: readonly ConfChangeSingle[] }
  | { readonly ok: false; readonly reason: string };

/** Reads changes as in "v1 l2 r3 u4 w5": add voter, add learner, remove, update, add witness. */
export function parseChanges(text: string): ParsedChanges {
  const changes: ConfChangeSingle[] = [];
  const trimmed = text.trim();
  for (const token of trimmed === "" ? [] : trimmed.split(" ")) {
    if (token.length < 2) return { ok: false, reason: `unknown token ${token}` };
    const type = types.get(token.slice(0, 1));
    if (type === undefined) return { ok: false, reason: `unknown input: ${token}` };
    const digits = token.slice(1);
    if (!/^\d+$/.test(digits)) {
      return { ok: false, reason: `strconv.ParseUint: parsing ${JSON.stringify(digits)}: invalid syntax` };
    }
    changes.push({ type, nodeId: Number(digits) });
  }
  return { ok: true, changes };
}

/** The inverse of `parseChanges`. */
export function changesText(changes: readonly ConfChangeSingle[]): string {
  return changes.map(({ type, nodeId }) => `${letters.get(type)}${nodeId}`).join(" ");
}
