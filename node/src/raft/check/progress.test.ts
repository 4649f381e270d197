import { describe, expect, test } from "vitest";
import { Mode, pairSoloRules } from "../pairsolo.ts";
import { witnessRules } from "../witness.ts";
import { BaseModel } from "./base.ts";
import { type BaseBounds, type BaseRules, baseRules, world } from "./base-rules.ts";
import { explore } from "./explore.ts";
import { checkProgress } from "./progress.ts";

const bounds: BaseBounds = { terms: 2, entries: 2, epochs: 1, unsynced: true };
const progressOf = (rules: Partial<BaseRules>) => checkProgress(bounds, { ...baseRules, ...rules });

describe("progress", () => {
  test("any one permanent loss in PAIR, and a restart of an engaged leader, leave the rest able to commit", () => {
    const large = process.env["NEXUS_CHECK_BOUNDS"] === "large";

    const report = checkProgress(large ? { ...bounds, entries: 3 } : bounds);

    expect(report.stuck).toBeUndefined();
    expect(report.situations).toBeGreaterThan(100);
  });

  test("without the third clause of up an engaged leader that restarts is stuck", () => {
    const up: typeof witnessRules.up = (record, vote) =>
      vote.cand !== record.engHolder || vote.lastTerm !== record.engTerm || vote.lastEpoch !== record.engEpoch
        ? witnessRules.up(record, vote)
        : false;
    expect(progressOf({ witness: { ...witnessRules, up } }).stuck).toContain("SOLO engaged, then");
  });

  test("without the EpochChange no-op of PAIR to SOLO an engaged leader that restarts is stuck", () => {
    const rules = { world: { ...world, writesEpochChange: (mode: Mode) => mode === Mode.PAIR } };
    expect(progressOf(rules).stuck).toContain("SOLO engaged, then");
  });

  test("without the EpochChange no-op of SOLO to PAIR the peer and the witness are stuck", () => {
    const rules = { world: { ...world, writesEpochChange: (mode: Mode) => mode === Mode.SOLO } };
    expect(progressOf(rules).stuck).toContain("PAIR, then");
  });

  test("without the engage order (durable first, then WEngage) an engaged leader that restarts is stuck", () => {
    const mayEngage: typeof pairSoloRules.mayEngage = (leader, witness) =>
      pairSoloRules.mayEngage(leader, witness, Number.MAX_SAFE_INTEGER);
    expect(progressOf({ leader: { ...pairSoloRules, mayEngage } }).stuck).toContain("SOLO engaged, then");
  });

  test("without the epoch in snapshots an engaged leader with a compacted log is stuck, but nothing is lost", () => {
    const rules = { world: { ...world, candidateEpoch: () => 0 } };

    expect(progressOf(rules).stuck).toContain("SOLO engaged, then");
    expect(explore(new BaseModel(bounds, { ...baseRules, ...rules }), 1_000_000).violation).toBeUndefined();
  });
});
