import type { SystemCommand } from "@nexus-federation/proto/command.ts";
import type { LogMember, ZoneRule } from "@nexus-federation/proto/records.ts";
import { describe, expect, it } from "vitest";
import { ruleOf } from "../tree/testing/rule.ts";
import { codeOf, idOf, Rig } from "./testing/rig.ts";

const rigOf = () => new Rig({ system: true });
const act = (rig: Rig, op: SystemCommand["op"]) => rig.run({ $case: "system", value: { op } });
const box = (name: string, n: number) => ({
  name,
  incarnation: idOf(n),
  region: "cn",
  role: "Data",
  peerEndpoint: "127.0.0.1:1",
  clientEndpoint: "",
  featureLevel: 1,
  cluster: "",
});
const register = (name: string, n: number, federationUid = "fed") => ({
  $case: "registerBox" as const,
  value: { box: box(name, n), federationUid },
});
const member = (name: string, n: number, role = "voter"): LogMember => ({
  replica: n,
  box: name,
  incarnation: idOf(n),
  role,
});
const create = (zone: string, members: LogMember[] = []) => ({
  $case: "createLog" as const,
  value: {
    log: { log: 0, zone, generation: 0, members, timing: "region", group: "", state: "", configIndex: 0, retiredMs: 0 },
  },
});
const rule = (zone: string, pattern: string, log: number): ZoneRule => ruleOf({ zone, pattern, log, state: "pending" });
const begin = (expectedEpoch: number, rules: ZoneRule[]) => ({
  $case: "beginRules" as const,
  value: { expectedEpoch, rules },
});
const activate = (epoch: number) => ({ $case: "activateRules" as const, value: { epoch } });
const remove = (name: string, n: number) => ({
  $case: "removeBox" as const,
  value: { name, incarnation: idOf(n), mayReturn: false },
});

describe("the system zone", () => {
  it("only it takes system commands", () => {
    expect(codeOf(act(new Rig(), register("a", 1)))).toBe("INVALID");
  });

  it("a witness is removed by its name alone, and not while a zone has it", () => {
    const rig = rigOf();
    const value = { box: { ...box("w", 9), role: "Witness", incarnation: Buffer.alloc(0) }, federationUid: "fed" };
    const witness = { $case: "registerBox" as const, value };
    const gone = { $case: "removeBox" as const, value: { name: "w", incarnation: Buffer.alloc(0), mayReturn: false } };
    const data = {
      $case: "removeBox" as const,
      value: { name: "cn-01", incarnation: Buffer.alloc(0), mayReturn: false },
    };
    for (const command of [witness, register("cn-01", 1), create("z", [member("w", 7, "witness")])])
      expect(codeOf(act(rig, command))).toBe("system");

    expect([codeOf(act(rig, gone)), codeOf(act(rig, data))]).toEqual(["ZONE_IN_USE", "INVALID"]);
    const other = rigOf();
    act(other, witness);
    expect(codeOf(act(other, gone))).toBe("system");
    expect(other.machine.system.boxes()).toEqual([]);
    expect(codeOf(act(other, witness))).toBe("system");
  });

  it("a box's name belongs to one incarnation, and a removed incarnation never returns", () => {
    const rig = rigOf();
    expect(codeOf(act(rig, register("cn-01", 1)))).toBe("system");
    expect(codeOf(act(rig, register("cn-01", 1)))).toBe("system");
    expect(codeOf(act(rig, register("cn-02", 3, "other")))).toBe("INVALID");

    expect(codeOf(act(rig, remove("cn-01", 1)))).toBe("system");
    expect(codeOf(act(rig, register("cn-01", 1)))).toBe("DENIED");
    expect(codeOf(act(rig, register("cn-01", 2)))).toBe("system");
    expect(rig.machine.system.boxes().map((one) => one.incarnation)).toEqual([idOf(2)]);
    expect(rig.machine.system.isTombstoned(idOf(1))).toBe(true);
  });

  it("another disk takes the name of a box, and the former one is out for good", () => {
    const rig = rigOf();
    act(rig, register("cn-01", 1));

    expect(codeOf(act(rig, register("cn-01", 2)))).toBe("system");

    expect(rig.machine.system.boxes().map((one) => one.incarnation)).toEqual([idOf(2)]);
    expect(rig.machine.system.isTombstoned(idOf(1))).toBe(true);
    expect(codeOf(act(rig, register("cn-01", 1)))).toBe("DENIED");
    expect(rig.machine.system.box("cn-01")?.incarnation).toEqual(idOf(2));
  });

  it("a log's number is the index of its creation, and creating it again finds it", () => {
    const rig = rigOf();
    const reply = act(rig, create("data"));
    const log = rig.machine.appliedIndex;
    expect(reply.result).toMatchObject({ value: { log } });
    expect(act(rig, create("data")).result).toMatchObject({ value: { log } });
    expect(codeOf(act(rig, create("Bad Name")))).toBe("INVALID");
  });

  it("rules change by compare-and-set over a pending map", () => {
    const rig = rigOf();
    act(rig, create("data"));
    const log = rig.machine.appliedIndex;
    const rules = [rule("data", "/**", log)];

    expect(codeOf(act(rig, begin(1, rules)))).toBe("STALE_EPOCH");
    expect(act(rig, begin(0, rules)).result).toMatchObject({ value: { epoch: 1 } });
    expect(codeOf(act(rig, begin(0, rules)))).toBe("system");
    expect(codeOf(act(rig, begin(0, [])))).toBe("ALREADY_EXISTS");
    expect(codeOf(act(rig, activate(2)))).toBe("STALE_EPOCH");
    expect(codeOf(act(rig, activate(1)))).toBe("system");
    expect(codeOf(act(rig, activate(1)))).toBe("system");

    expect(rig.machine.system.ruleMap()).toMatchObject({ epoch: 1, rules: [{ zone: "data", state: "active" }] });
    expect(rig.machine.system.pendingMap()).toBeUndefined();
    expect(rig.machine.system.log(log)).toMatchObject({ state: "active" });
    act(rig, begin(1, []));
    expect(codeOf(act(rig, { $case: "abortRules", value: { epoch: 2, reason: "no" } }))).toBe("system");
    expect(rig.machine.system.ruleMap().epoch).toBe(1);
  });

  it("a map that was given back leaves its epochs to no other, and cannot be activated from then on", () => {
    const rig = rigOf();
    act(rig, create("data"));
    const rules = [rule("data", "/**", rig.machine.appliedIndex)];
    const giveBack = {
      $case: "returnRules" as const,
      value: { epoch: 1, code: "NOT_EMPTY", reason: "no", rule: "data" },
    };

    act(rig, begin(0, rules));
    expect(act(rig, giveBack).result).toMatchObject({ value: { epoch: 2 } });
    expect(rig.machine.system.pendingMap()?.epoch).toBe(2);
    expect(rig.machine.system.returning()).toEqual({ code: "NOT_EMPTY", reason: "no", rule: "data" });
    expect([giveBack, activate(1), activate(2), begin(0, rules)].map((op) => codeOf(act(rig, op)))).toEqual([
      "STALE_EPOCH",
      "STALE_EPOCH",
      "STALE_EPOCH",
      "ALREADY_EXISTS",
    ]);
    expect(codeOf(act(rig, { $case: "abortRules", value: { epoch: 2, reason: "no" } }))).toBe("system");

    expect(act(rig, begin(0, rules)).result).toMatchObject({ value: { epoch: 3 } });
    expect(rig.machine.system.returning()).toBeUndefined();
    expect(codeOf(act(rig, activate(3)))).toBe("system");
    expect(codeOf(act(rig, giveBack))).toBe("STALE_EPOCH");
  });

  it("rules that tie, or name a zone without its log, are refused", () => {
    const rig = rigOf();
    act(rig, create("a"));
    const a = rig.machine.appliedIndex;
    act(rig, create("b"));
    const b = rig.machine.appliedIndex;
    const tie = act(rig, begin(0, [rule("a", "/x/*", a), rule("b", "/x/**", b)]));
    expect(tie.result).toMatchObject({ value: { code: "INVALID", message: expect.stringMatching(/zone b.*zone a/) } });
    expect(codeOf(act(rig, begin(0, [rule("a", "/**", b)])))).toBe("INVALID");
    expect(codeOf(act(rig, begin(0, [rule("a", "/**", a), rule("a", "/x/**", a)])))).toBe("INVALID");
  });

  it("a zone without a rule retires, is attached again by its name, and dies only when nothing binds it", () => {
    const rig = rigOf();
    act(rig, create("data"));
    const log = rig.machine.appliedIndex;
    const install = (epoch: number, rules: ZoneRule[]) =>
      [begin(epoch, rules), activate(epoch + 1)].map((op) => codeOf(act(rig, op)));
    const destroy = () => codeOf(act(rig, { $case: "destroyZone", value: { zone: "data", log } }));

    expect(install(0, [rule("data", "/**", log)])).toEqual(["system", "system"]);
    expect(destroy()).toBe("ZONE_IN_USE");
    install(1, []);
    expect(rig.machine.system.log(log)).toMatchObject({ state: "retired", retiredMs: rig.timeMs });
    install(2, [rule("data", "/x/**", log)]);
    expect(rig.machine.system.log(log)).toMatchObject({ state: "active" });
    install(3, []);
    expect(destroy()).toBe("system");
    expect(destroy()).toBe("NOT_FOUND");
    act(rig, create("data"));
    expect(rig.machine.system.logOfZone("data")?.log).toBe(rig.machine.appliedIndex);
  });

  it("a box that is let go may come back with its disk, one that is removed may not, known or not", () => {
    const rig = rigOf();
    const letGo = { $case: "removeBox" as const, value: { name: "cn-01", incarnation: idOf(1), mayReturn: true } };
    act(rig, register("cn-01", 1));

    expect([codeOf(act(rig, letGo)), codeOf(act(rig, letGo))]).toEqual(["system", "system"]);
    expect(rig.machine.system.boxes()).toEqual([]);
    expect(codeOf(act(rig, register("cn-01", 1)))).toBe("system");
    act(rig, letGo);
    expect(codeOf(act(rig, remove("cn-01", 1)))).toBe("system");
    expect(codeOf(act(rig, register("cn-01", 1)))).toBe("DENIED");
  });

  it("a zone is given up only when every disk with a copy is named, and keeps its rule until that is taken out", () => {
    const rig = rigOf();
    act(rig, create("data", [member("a", 1), member("b", 2, "learner"), member("w", 3, "witness")]));
    const log = rig.machine.appliedIndex;
    act(rig, begin(0, [rule("data", "/**", log)]));
    act(rig, activate(1));
    const giveUp = (number: number, ...disks: number[]) =>
      act(rig, { $case: "giveUpZone", value: { zone: "data", log: number, abandoned: disks.map(idOf) } });

    expect(codeOf(giveUp(log + 1, 1, 2))).toBe("PRECONDITION_FAILED");
    expect(giveUp(log, 1, 3).result).toMatchObject({
      value: { message: expect.stringMatching(/lies on b \(inc.*02\)/) },
    });
    expect(rig.machine.system.log(log)?.lost).toBeUndefined();
    expect(codeOf(giveUp(log, 1, 2))).toBe("system");
    expect(codeOf(giveUp(log, 1, 2))).toBe("system");

    expect(rig.machine.system.log(log)).toMatchObject({ lost: true, state: "active" });
    expect(codeOf(act(rig, { $case: "destroyZone", value: { zone: "data", log } }))).toBe("ZONE_IN_USE");
    act(rig, begin(1, []));
    act(rig, activate(2));
    expect(codeOf(act(rig, { $case: "destroyZone", value: { zone: "data", log } }))).toBe("system");
    expect(codeOf(giveUp(log, 1, 2))).toBe("NOT_FOUND");
  });

  it("only newer members count, and the map shows boxes where to forward to", () => {
    const rig = rigOf();
    act(rig, register("cn-01", 1));
    act(rig, create("data", [member("cn-01", 1)]));
    const log = rig.machine.appliedIndex;
    act(rig, begin(0, [rule("data", "/**", log)]));
    act(rig, activate(1));
    const before = rig.machine.system.revision;
    const record = (configIndex: number, members: LogMember[]) =>
      act(rig, { $case: "recordMembers", value: { log, members, configIndex, generation: 0, banned: [] } });

    record(5, [member("cn-01", 1), member("w", 2, "witness"), member("cn-02", 3)]);
    record(4, [member("old", 9)]);

    expect(rig.machine.system.ruleMap()).toMatchObject({ epoch: 1, rules: [{ members: ["cn-01", "cn-02"] }] });
    expect(rig.machine.system.revision).toBe(before + 1);
    expect(codeOf(act(rig, remove("cn-01", 1)))).toBe("ZONE_IN_USE");
  });

  it("one box is disrupted at a time, until the log's time says it is over", () => {
    const rig = rigOf();
    const acquire = (name: string) =>
      codeOf(act(rig, { $case: "acquireDisruption", value: { box: name, holder: "op", ttlMs: 1000 } }));

    expect([acquire("a"), acquire("a"), acquire("b")]).toEqual(["system", "system", "LOCKED"]);
    rig.timeMs += 1000;
    expect(acquire("b")).toBe("system");
    act(rig, { $case: "releaseDisruption", value: { box: "b", holder: "op" } });
    expect(rig.machine.system.disruption()).toBeUndefined();
  });
});
