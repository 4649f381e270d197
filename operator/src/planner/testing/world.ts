// A small obedient federation: executes actions as boxes do, refuses what boxes refuse, and can be observed. Slow things
// (learners catching up, the joint step, a leader handing over) take one `settle` each.
import type { Condition } from "../../api/conditions.ts";
import type { Action, MemberEntry } from "../actions.ts";
import type { MemberRole } from "../desired.ts";
import type { Observed, ObservedLog, ObservedMember, ObservedRule, RefusedRule, RegisteredBox } from "../observed.ts";
import { textIn } from "../rules-plan.ts";

interface ModelLog {
  log: number;
  leader: string;
  configIndex: number;
  members: Map<string, ObservedMember>;
  pending: MemberEntry[] | undefined;
  mode: string;
  hash: string;
  revision: number;
  /** Epoch of the last recovery. */
  recovered: number;
}

export class World {
  readonly workloads = new Map<string, { role: string; region: string }>();
  readonly registered = new Map<string, RegisteredBox>();
  readonly logs = new Map<string, ModelLog>();
  readonly conditions = new Map<string, Condition[]>();
  readonly disks = new Map<string, number>();
  rules: ObservedRule[] = [];
  epoch = 0;
  known = "";
  next = 2;
  /** Zones whose rule the boxes refuse, and what was refused. */
  readonly hiding = new Set<string>();
  readonly refusedRules = new Map<string, RefusedRule>();
  /** Actions that a box would refuse: the planner must not make any. */
  readonly refused: string[] = [];

  observe(): Observed {
    const boxes = new Map<string, { incarnation: string; state: string }>();
    for (const [name, { role }] of this.workloads)
      if (role === "Data")
        boxes.set(name, { incarnation: this.#incarnation(name), state: this.logs.size > 0 ? "ready" : "empty" });
    return {
      workloads: new Map(
        [...this.workloads.keys()].map((name) => [
          name,
          { exists: true, running: true, peerEndpoint: `${name}:2027`, clientEndpoint: `${name}:2026` },
        ]),
      ),
      boxes,
      knownFederation: this.known,
      bootstrapped: this.logs.has("system"),
      systemServes: (this.logs.get("system")?.leader ?? "") !== "",
      epoch: this.epoch,
      rulesPending: false,
      rules: this.rules,
      registered: this.registered,
      logs: new Map([...this.logs].map(([zone, log]) => [zone, observedLog(log)])),
      conditions: this.conditions,
      refusedRules: this.refusedRules,
    };
  }

  #incarnation(box: string): string {
    return `${box}-${this.disks.get(box) ?? 0}`;
  }

  execute(action: Action): void {
    switch (action.type) {
      case "ensureWorkload":
        this.workloads.set(action.box, { role: action.role, region: action.region });
        return;
      case "removeWorkload":
        for (const [zone, log] of this.logs)
          if (log.members.has(action.box)) this.refused.push(`remove ${action.box} used by ${zone}`);
        this.workloads.delete(action.box);
        return;
      case "bootstrap":
        if (this.logs.has("system")) this.refused.push("second bootstrap");
        this.known = "fed";
        this.#create("system", 1, action.members);
        this.logs.get("system")!.mode = "";
        return;
      case "registerBox": {
        const { role, region } = this.workloads.get(action.box)!;
        const incarnation = role === "Data" ? this.#incarnation(action.box) : "";
        this.registered.set(action.box, {
          incarnation,
          region,
          peerEndpoint: `${action.box}:2027`,
          clientEndpoint: `${action.box}:2026`,
        });
        return;
      }
      case "removeBox":
        for (const [zone, log] of this.logs)
          if (log.members.has(action.box)) this.refused.push(`remove member ${action.box} of ${zone}`);
        this.registered.delete(action.box);
        return;
      case "ensureZone":
        if (!this.logs.has(action.zone)) this.#create(action.zone, this.next++, action.members);
        return;
      case "proposeMembership":
        this.#propose(action);
        return;
      case "transfer":
        this.#transfer(action.zone, action.to);
        return;
      case "installRules":
        if (action.expectedEpoch !== this.epoch) this.refused.push("epoch");
        if (this.#isHiding(action.rules)) return;
        for (const rule of action.rules) this.#setPolicy(rule.zone, rule);
        this.rules = action.rules;
        this.epoch++;
        return;
      case "setDrain":
        return;
      case "recover": {
        const log = this.logs.get(action.zone)!;
        if (log.recovered >= action.epoch) this.refused.push(`recovery ${action.epoch} again`);
        log.recovered = action.epoch;
        log.members = new Map([[action.on, this.#member(action.on, "voter")]]);
        Object.assign(log, { leader: action.on, hash: "", revision: 0, pending: undefined });
        return;
      }
      case "destroyZone":
        if (action.abandoned) this.rules = this.rules.filter(({ zone }) => zone !== action.zone);
        this.logs.delete(action.zone);
        return;
      case "raiseCondition": {
        const others = (this.conditions.get(action.object) ?? []).filter((each) => each.type !== action.condition.type);
        this.conditions.set(action.object, [...others, action.condition]);
      }
    }
  }

  #isHiding(rules: readonly ObservedRule[]): boolean {
    const zone = [...this.hiding].find((each) => textIn(rules, each) !== textIn(this.rules, each));
    if (zone !== undefined) this.refusedRules.set(zone, { text: textIn(rules, zone), message: "No.", due: false });
    return zone !== undefined;
  }

  /** Pending membership changes complete. */
  settle(): void {
    for (const log of this.logs.values()) {
      if (!log.pending) continue;
      log.members = new Map(log.pending.map(({ box, role }) => [box, this.#member(box, role)]));
      log.pending = undefined;
      if (log.members.get(log.leader)?.role !== "voter")
        log.leader = [...log.members].find(([, { role }]) => role === "voter")![0];
      log.configIndex += 3;
    }
  }

  #create(zone: string, number: number, members: MemberEntry[]): void {
    const leader = members.find((member) => member.role === "voter")!.box;
    const all = new Map(members.map(({ box, role }) => [box, this.#member(box, role)] as const));
    this.logs.set(zone, {
      log: number,
      leader,
      configIndex: 1,
      members: all,
      pending: undefined,
      mode: "",
      hash: "",
      revision: 0,
      recovered: 0,
    });
  }

  #member(box: string, role: MemberRole): ObservedMember {
    return {
      role,
      incarnation: role === "witness" ? `record-${box}` : this.#incarnation(box),
      active: true,
      caughtUp: true,
    };
  }

  #propose(action: Extract<Action, { type: "proposeMembership" }>): void {
    const log = this.logs.get(action.zone)!;
    const refuse = (why: string) =>
      this.refused.push(`${action.zone}: ${why} (${[...log.members.keys()]} -> ${action.hash})`);
    const voters = action.members.filter((member) => member.role === "voter").length;
    const witnesses = action.members.filter((member) => member.role === "witness").length;
    if (action.expectedConfigIndex !== log.configIndex) refuse("config index");
    if (action.revision <= log.revision) refuse(`revision ${action.revision} after ${log.revision}`);
    if (voters === 0) refuse("no voter");
    if (witnesses > 1 || (witnesses === 1 && voters !== 2)) refuse("bad witness");
    if (action.members.some(({ box }) => !this.registered.has(box))) refuse("member is not registered");
    log.revision = action.revision;
    log.pending = action.members;
    log.hash = action.hash;
  }

  #transfer(zone: string, to: string): void {
    const log = this.logs.get(zone)!;
    if (log.members.get(to)?.role !== "voter") this.refused.push(`transfer of ${zone} to ${to}`);
    log.leader = to;
  }

  #setPolicy(zone: string, rule: ObservedRule): void {
    const log = this.logs.get(zone);
    if (!log) return void this.refused.push(`${zone}: rule without a log`);
    const voters = [...log.members.values()].filter((member) => member.role === "voter").length;
    if (rule.log !== log.log) this.refused.push(`${zone}: rule of log ${rule.log}`);
    if (rule.mode === "strong_ha" && voters < rule.copiesDeclared)
      this.refused.push(`${zone}: strong_ha with ${voters} voters`);
    log.mode = rule.mode;
  }
}

function observedLog(log: ModelLog): ObservedLog {
  const { log: number, leader, configIndex, members, pending, mode, hash } = log;
  const witness = [...members.values()].some((member) => member.role === "witness");
  return {
    log: number,
    generation: 1,
    leader,
    configIndex,
    joint: pending !== undefined,
    members,
    witnessMode: witness ? "PAIR" : "",
    mode,
    acceptedHash: hash,
    acceptedRevision: log.revision,
    acceptedWaits: pending === undefined ? "" : "replica 4 has not caught up yet",
    uid: `uid-${number}`,
    recovery: log.recovered > 0 ? { epoch: log.recovered, fromBox: leader, lastIndex: 9 } : undefined,
  };
}
