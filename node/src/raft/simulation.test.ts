import { afterEach, describe, expect, test } from "vitest";
import { type PairSoloRules, pairSoloRules } from "./pairsolo.ts";
import { Violation } from "./simulation/invariants.ts";
import { simulate } from "./simulation/run.ts";
import { type WitnessRecord, type WitnessRules, type WitnessVote, witnessRules } from "./witness.ts";

/** Random schedules of the real core with two full members and a witness. NEXUS_RAFT_SEEDS asks for more of them. */
const seeds = Number(process.env["NEXUS_RAFT_SEEDS"] ?? 60);
const steps = 6_000;
const timeoutMs = 60_000 + seeds * 50;

describe("two full members and a witness", () => {
  for (const membership of [false, true]) {
    test(
      `keep every promise over ${seeds} schedules${membership ? " of changing membership" : ""}`,
      () => {
        let [committed, localReads, readsDone] = [0, 0, 0];
        for (let seed = 1; seed <= seeds; seed++) {
          const result = runSeed(seed, membership);
          committed += result.committed;
          localReads += result.localReads;
          readsDone += result.readsDone;
        }

        expect(committed).toBeGreaterThan(seeds * 20);
        expect(localReads).toBeGreaterThan(seeds);
        expect(readsDone).toBeGreaterThan(seeds);
      },
      timeoutMs,
    );
  }
});

function sameEpoch<Id>(record: WitnessRecord<Id>, vote: WitnessVote<Id>): boolean {
  return vote.lastTerm === record.engTerm && vote.lastEpoch === record.engEpoch;
}

function runSeed(seed: number, membership: boolean): ReturnType<typeof simulate> {
  try {
    return simulate({ seed, steps, membership });
  } catch (cause) {
    throw new Error(`seed ${seed}, membership ${membership}: ${cause}`, { cause });
  }
}

describe("the schedules find a planted mistake:", () => {
  const [pairSolo, witness] = [{ ...pairSoloRules }, { ...witnessRules }];
  afterEach(() => {
    Object.assign(pairSoloRules, pairSolo);
    Object.assign(witnessRules, witness);
  });

  const mistakes: readonly [string, Partial<PairSoloRules>, Partial<WitnessRules>][] = [
    ["the witness votes for any log", {}, { up: () => true }],
    ["the witness votes twice a term", {}, { voteFree: () => true }],
    [
      "the witness takes any log of the engaged epoch for the holder's",
      {},
      { up: (record, vote) => witness.up(record, vote) || sameEpoch(record, vote) },
    ],
    [
      "the witness does not take the holder back after a restart",
      {},
      { up: (record, vote) => witness.up(record, vote) && !sameEpoch(record, vote) },
    ],
    [
      "the leader counts itself before its log is durable",
      { commitIndex: (view) => pairSolo.commitIndex({ ...view, selfDurable: view.lastIndex }) },
      {},
    ],
    [
      "SOLO alone gives the right to read locally",
      { mayReadLocally: ({ leader, commit, termStart }) => leader.mode === "SOLO" && commit >= termStart },
      {},
    ],
  ];
  for (const [name, pairSoloMistake, witnessMistake] of mistakes) {
    test(name, () => {
      Object.assign(pairSoloRules, pairSoloMistake);
      Object.assign(witnessRules, witnessMistake);

      expect(() => {
        for (let seed = 1; seed <= 400; seed++) simulate({ seed, steps, membership: false });
      }).toThrow(Violation);
    });
  }
});
