import { describe, expect, test } from "vitest";
import { BaseModel } from "./base.ts";
import { append, entryAt, lengthOf, type State } from "./base-state.ts";
import { explore } from "./explore.ts";

/** What a client was told: where an entry stands and which one it is. */
interface Token {
  readonly generation: number;
  readonly index: number;
  readonly entry: number;
}

/**
 * The explicit recovery: the other member is destroyed, this one goes on alone from its own log, in the generation
 * that `raise` says, and writes two entries of its own term. Entries are told apart by (term, epoch), so the term is one
 * that nobody used.
 */
function tokensAfterRecovery(state: State, survivor: number, raise: (generation: number) => number): Token[] {
  const generation = raise(1);
  const member = { ...state.members[survivor]!, term: 7, epoch: 0 };
  const tokens: Token[] = [];
  for (let n = 0; n < 2; n++) {
    append(member, true);
    tokens.push({ generation, index: member.length, entry: entryAt(member.log, member.length - 1) });
  }
  return tokens;
}

/** States in which a token handed out before the recovery comes back after it with another meaning. */
function repeated(raise: (generation: number) => number): number {
  let count = 0;
  const model = new BaseModel({ terms: 2, entries: 3, epochs: 1 });
  explore(model, 1_000_000, (state) => {
    const before: Token[] = [];
    for (let k = 0; k < lengthOf(state.committed); k++) {
      before.push({ generation: 1, index: k + 1, entry: entryAt(state.committed, k) });
    }
    for (const survivor of [0, 1]) {
      const clash = tokensAfterRecovery(state, survivor, raise).some((token) =>
        before.some(
          (old) => old.generation === token.generation && old.index === token.index && old.entry !== token.entry,
        ),
      );
      if (clash) count++;
    }
  });
  return count;
}

describe("Generation: no revision repeats with another meaning", () => {
  test("recovery raises the generation, so that tokens of lost entries never come back", () => {
    expect(repeated((generation) => generation + 1)).toBe(0);
  });

  test("without it there are states whose recovery repeats a token of a lost entry", () => {
    expect(repeated((generation) => generation)).toBeGreaterThan(0);
  });
});
