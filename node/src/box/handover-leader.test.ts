import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { refuse } from "../base/errors.ts";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { systemZone } from "../tree/system-zone.ts";
import { ruleOf } from "../tree/testing/rule.ts";
import { answer, refusal } from "../zones/answers.ts";
import { Handover, type HandoverNeeds } from "./handover.ts";

const all = ruleOf({ zone: "all", pattern: "/**", log: 2, members: ["a"], copiesDeclared: 1 });
const deep = ruleOf({ zone: "deep", pattern: "/deep/**", log: 3, members: ["a"], copiesDeclared: 1 });

/** What a hand-over needs of a box that knows of both maps; `pendingEpoch` and `leads` are asked each time. */
function needsOf(ask: HandoverNeeds["ask"], box: { pendingEpoch: () => number; leads: () => boolean }): HandoverNeeds {
  const system = {
    ruleMap: () => ({ epoch: 1, rules: [all] }),
    pendingMap: () => ({ epoch: box.pendingEpoch(), rules: [all, deep] }),
    pendingEpoch: box.pendingEpoch,
    logOfZone: () => undefined,
    returning: () => undefined,
  };
  return {
    ask,
    source: { system: () => system, systemRevision: () => 1, onSystemChanged: () => {} },
    groups: { view: () => ({ isLeader: box.leads() }) },
    clock: new VirtualClock(),
    log: { info: () => {}, warn: () => {} },
  } as unknown as HandoverNeeds;
}

/** A box that leads the system zone until its first step in a zone was answered with `last`. */
function deposedAfter(last: Response) {
  let leads = true;
  const steps: string[] = [];
  const ask = async (_op: Request["op"], more?: { zone?: string }): Promise<Response> => {
    if (more?.zone === systemZone) return answer({ $case: "system", value: { log: 0, epoch: 2, replica: 0 } });
    steps.push(more?.zone ?? "");
    leads = false;
    return last;
  };
  return { steps, handover: new Handover(needsOf(ask, { pendingEpoch: () => 2, leads: () => leads })) };
}

test("who leads the system zone no more takes no further step of a hand-over", async () => {
  const { steps, handover } = deposedAfter(answer({ $case: "empty", value: {} }));

  expect(await handover.install(1, [all, deep])).toMatchObject({ code: "NO_LEADER" });

  expect(steps).toEqual(["all"]);
});

test("nor does it give back what its successor may have handed over", async () => {
  const { steps, handover } = deposedAfter(refusal(refuse("NOT_EMPTY", "1 files lie below /deep/**")));

  expect(await handover.install(1, [all, deep])).toMatchObject({ code: "NOT_EMPTY" });

  expect(steps).toEqual(["all"]);
});

test("that a map is given back is committed, under a fresh epoch, before any zone has anything back", async () => {
  const steps: string[] = [];
  let epoch = 2;
  const ask = async (op: Request["op"], more?: { zone?: string }): Promise<Response> => {
    const inner = op?.$case === "mutate" ? op.value.op : undefined;
    if (inner?.$case === "system") {
      steps.push(inner.value.op?.$case ?? "");
      if (inner.value.op?.$case === "returnRules") epoch = 3;
      return answer({ $case: "system", value: { log: 0, epoch, replica: 0 } });
    }
    const at =
      inner?.$case === "own" || inner?.$case === "cede" || inner?.$case === "setPolicy" ? inner.value.epoch : 0;
    steps.push(`${more?.zone} ${inner?.$case} ${at}`);
    if (inner?.$case === "cede") return refusal(refuse("NOT_EMPTY", "1 files lie below /deep/**"));
    return answer({ $case: "empty", value: {} });
  };
  const needs = needsOf(ask, { pendingEpoch: () => epoch, leads: () => true });

  expect(await new Handover(needs).install(1, [all, deep])).toMatchObject({ code: "NOT_EMPTY" });

  expect(steps).toEqual(["beginRules", "all cede 2", "returnRules", "deep own 3", "all own 3", "abortRules"]);
});
