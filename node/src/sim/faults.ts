import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import { systemLog } from "../tree/system-zone.ts";
import { anyone, type DataBox } from "./data-box.ts";
import { declared, recordOf, ruleFor } from "./founding.ts";
import type { Life } from "./life.ts";
import { QuorumLoss } from "./lost-quorum.ts";
import type { Fault, PlannedFault } from "./plan.ts";
import type { Process } from "./process.ts";
import { WitnessBox } from "./witness-box.ts";
import type { World } from "./world.ts";

/** For handing over at a graceful stop, ms. */
const drainMs = 1_000;
/** Pause between two looks at a box whose disk was exchanged, ms. */
const repairMs = 100;

/** Does what a plan says to a world, and undoes it. */
export class Faults {
  readonly #world: World;
  readonly quorum: QuorumLoss;
  #revision = 1;
  /** A flipped or wiped disk whose data is not known to be back. */
  #lossy: Process | undefined;
  /** Boxes that were asked to stop, each with the life that ends so. */
  readonly #stops: { box: DataBox; life: Life }[] = [];
  /** Nothing new is done any more. */
  #over = false;

  constructor(world: World) {
    this.#world = world;
    this.quorum = new QuorumLoss(world, (zone, names, via) => this.#propose(zone, names, via));
  }

  /** At its moment, counted from now. */
  plan({ atMs, on, fault }: PlannedFault): void {
    const { clock, triggers } = this.#world;
    const inject = () => this.#inject(fault);
    if (on === undefined) clock.after(atMs, inject);
    else clock.after(atMs, () => triggers.arm(on.moment, () => void clock.after(on.delayMs, inject)));
  }

  #inject(planned: Fault): void {
    const fault = this.#over ? undefined : this.#meant(planned);
    if (fault === undefined) return;
    this.#world.trace.note("fault", JSON.stringify(fault));
    switch (fault.kind) {
      case "crash":
        return this.#crash(this.#world.process(fault.box), fault);
      case "blackout":
        for (const process of this.#world.processes.values()) this.#crash(process, fault);
        return;
      case "pause":
        return this.#pause(this.#world.process(fault.box), fault.ms);
      case "cut":
        return this.#cut([[fault.from, fault.to]], fault.ms);
      case "isolate":
        return this.#isolate(fault);
      case "slow":
        return this.#slow(fault);
      case "drain":
        return this.#drain(this.#world.box(fault.box), fault.ms);
      case "wipe":
        return this.#wipe(this.#world.box(fault.box));
      case "split":
        return this.#split(fault.side, fault.ms);
      case "stall":
        return this.#stall(this.#world.process(fault.box), fault.ms);
      case "full":
        return this.#fill(this.#world.process(fault.box), fault.ms);
      case "flip":
        return this.#damage(this.#world.box(fault.box), fault);
      case "forget":
        return this.#forget(fault.box);
      case "clock":
        this.#world.process(fault.box).wall.offsetMs += fault.byMs;
        return;
      case "loseQuorum":
        return this.quorum.strike(fault);
      case "rush":
        return this.#rush(fault, fault.steps);
      default:
        return this.#ask(fault);
    }
  }

  /** With names in the place of roles; undefined when nobody has a role. */
  #meant(fault: Fault): Fault | undefined {
    const { roles } = this;
    const known = (name: string) => (name.startsWith("@") ? roles[name] : name);
    const box = "box" in fault ? known(fault.box) : "";
    const from = "from" in fault ? known(fault.from) : "";
    const to = "from" in fault ? known(fault.to) : "";
    if (box === undefined || from === undefined || to === undefined) return undefined;
    const dataOnly = ["flip", "wipe", "drain", "loseQuorum"].includes(fault.kind);
    if (dataOnly && box.startsWith("w")) return undefined;
    if (fault.kind === "isolate") return { ...fault, box, but: fault.but.map((name) => known(name) ?? "") };
    if ("box" in fault) return { ...fault, box };
    return "from" in fault ? { ...fault, from, to } : fault;
  }

  /** Who is what, as the main zone's newest leader has it. */
  get roles(): Record<string, string | undefined> {
    const { boxes, logs } = this.#world;
    const lead = (zone: string) => {
      const log = logs.get(zone) ?? systemLog;
      const views = boxes.flatMap((box) => {
        const view = box.up ? box.host?.view(log) : undefined;
        return view === undefined ? [] : [{ box, view }];
      });
      return views.filter(({ view }) => view.isLeader).toSorted((left, right) => right.view.term - left.view.term)[0];
    };
    const main = lead("main");
    const leader = main?.box.name;
    const members = main?.view.config.members ?? [];
    const full = members.filter((one) => one.role !== "witness" && one.box !== leader).map((one) => one.box);
    return {
      "@leader": leader,
      "@follower": full[0],
      "@other": full[1],
      "@witness": members.find((one) => one.role === "witness")?.box,
      "@system": lead("system")?.box.name,
    };
  }

  #rush(fault: Extract<Fault, { kind: "rush" }>, steps: number): void {
    if (steps === 0 || this.#over) return;
    for (const { wall } of this.#world.processes.values()) wall.offsetMs += fault.byMs;
    this.#later(fault.everyMs, () => this.#rush(fault, steps - 1));
  }

  #isolate({ box, but, way, ms }: Extract<Fault, { kind: "isolate" }>): void {
    const ways: [string, string][] = [];
    for (const other of this.#world.processes.keys()) {
      if (other === box || but.includes(other)) continue;
      if (way !== "in") ways.push([box, other]);
      if (way !== "out") ways.push([other, box]);
    }
    this.#cut(ways, ms);
  }

  #slow({ from, to, byMs, ms }: Extract<Fault, { kind: "slow" }>): void {
    const { hub } = this.#world;
    hub.slow(from, to, byMs);
    this.#later(ms, () => hub.slow(from, to, 0));
  }

  /** A graceful stop, and a start some time later. */
  #drain(box: DataBox, ms: number): void {
    const { life, node } = box;
    if (node === undefined || !box.up) return;
    this.#stops.push({ box, life });
    void node.drain(drainMs).then(() => {
      if (box.life !== life || !life.alive) return;
      box.crash("kill");
      this.#later(ms, () => box.start());
    });
  }

  #later(ms: number, fn: () => void): void {
    this.#world.clock.after(ms, fn);
  }

  #crash(process: Process, { death, ms }: { death: "power" | "kill"; ms: number }): void {
    process.crash(death);
    this.#later(ms, () => process.start());
  }

  #pause(process: Process, ms: number): void {
    const { life } = process;
    if (!life.alive || life.paused) return;
    life.pause();
    this.#later(ms, () => life.resume());
  }

  #cut(ways: [string, string][], ms: number): void {
    const { hub } = this.#world;
    for (const [from, to] of ways) if (from !== to) hub.cut(from, to);
    this.#later(ms, () => {
      for (const [from, to] of ways) hub.heal(from, to);
    });
  }

  #split(side: readonly string[], ms: number): void {
    const ways: [string, string][] = [];
    for (const inside of side) {
      for (const outside of this.#world.processes.keys()) {
        if (!side.includes(outside)) ways.push([inside, outside], [outside, inside]);
      }
    }
    this.#cut(ways, ms);
  }

  #stall(process: Process, ms: number): void {
    const { disk } = process;
    disk.stall();
    this.#later(ms, () => disk.resume());
  }

  #fill(process: Process, ms: number): void {
    let used = 0;
    for (const bytes of process.disk.files.values()) used += bytes.length;
    process.mayFail = true;
    process.disk.capacityBytes = used;
    this.#later(ms, () => {
      process.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    });
  }

  /**
   * A disk loses data while everybody else has them: the one loss that must not cost anything. A second one waits until
   * the first is made good.
   */
  #damage(box: DataBox, fault: Extract<Fault, { kind: "flip" }>): void {
    if (this.#lossy !== undefined || !box.up || box.life.paused || !this.#isSpare(box)) return;
    this.#lossy = box;
    box.watch.damaged = true;
    box.mayFail = true;
    box.crash("power");
    flipBit(box, fault.place);
    this.#later(20, () => box.start());
  }

  /** A box comes back with an empty disk, under its name and as another incarnation, and whoever operates it says so. */
  #wipe(box: DataBox): void {
    if (this.#lossy !== undefined || !box.up || box.life.paused || !this.#isSpare(box)) return;
    this.#lossy = box;
    box.crash("power");
    box.wipe();
    this.#later(20, () => box.start());
    this.#repair(box);
  }

  /** Registers the new incarnation, and asks for it in every log that names the old one, until none does. */
  #repair(box: DataBox): void {
    this.#later(repairMs, () => this.#repair(box));
    const via = this.#world.boxes.find((other) => other !== box && other.up && !other.life.paused);
    const admin = via?.node?.box.admin;
    if (via === undefined || admin === undefined || !box.up) return;
    const { incarnation, name } = box;
    const known = via.node?.directory.boxes.find((one) => one.name === name);
    if (known === undefined || !known.incarnation.equals(incarnation)) {
      const request = { box: recordOf(this.#world, name), federation: "fed" };
      void admin.registerBox(request, anyone).then(this.#told("register"));
      return;
    }
    for (const other of this.#world.boxes) {
      for (const log of other.host?.logs() ?? []) {
        const view = other.host?.view(log);
        if (view === undefined || !view.isLeader) continue;
        const { members, target } = view.config;
        const old = members.some((one) => one.box === name && !one.incarnation.equals(incarnation));
        const asked = target?.members.some(
          (one) => one.box === name && Buffer.from(one.incarnation).equals(incarnation),
        );
        if (!old || (asked === true && target?.failure === "")) continue;
        const names = members.map((one) => (one.role === "learner" ? `${one.box}:learner` : one.box));
        this.#propose(view.zone, [...new Set(names)], via.name);
      }
    }
  }

  /** A witness loses its disk. It costs nothing as long as both full members come back, so nothing else may be lost. */
  #forget(name: string): void {
    const process = this.#world.process(name);
    if (this.#lossy !== undefined || !process.up || !(process instanceof WitnessBox)) return;
    this.#lossy = process;
    process.crash("power");
    process.loseRecords();
    this.#later(20, () => process.start());
  }

  /** Every log that the box has is whole on other voters, and led by one that knows it. */
  #isSpare(box: DataBox): boolean {
    for (const log of box.host?.logs() ?? []) {
      const awake = this.#world.boxes.filter((other) => other !== box && !other.life.paused);
      const view = awake.flatMap((other) => other.host?.view(log) ?? []).find((one) => one.isLeader);
      if (view === undefined || view.witnessMode === "SOLO") return false;
      // Who slept may still think that it leads.
      if (this.#world.boxes.some((other) => (other.host?.view(log)?.term ?? 0) > view.term)) return false;
      const { voters, votersOutgoing } = view.config;
      if (voters.length < 3 || votersOutgoing.length > 0) return false;
      const behind = view.progress.some(
        ({ role, match, active }) => role === "voter" && (!active || match < view.commit),
      );
      if (behind || this.#world.witnesses.some((witness) => !witness.up || witness.life.paused)) return false;
    }
    return true;
  }

  #ask(fault: Extract<Fault, { kind: "transfer" | "members" | "mode" | "rule" }>): void {
    const via = fault.kind === "transfer" ? this.#world.boxes[0]?.name : fault.via;
    const box = via === undefined ? undefined : this.#world.box(via);
    const admin = box?.up && !box.life.paused ? box.node?.box.admin : undefined;
    if (admin === undefined) return;
    switch (fault.kind) {
      case "transfer":
        void admin.transfer({ zone: fault.zone, box: fault.to }, anyone).then(this.#told("transfer"));
        return;
      case "members":
        return this.#propose(fault.zone, fault.members, fault.via);
      case "mode":
      case "rule": {
        const { map } = admin.status({ zones: false }, anyone);
        const rules = map?.rules ?? [];
        const extra = this.#world.logs.get("extra");
        const next = fault.kind === "mode" ? withMode(rules, fault) : withExtra(rules, fault.add, extra);
        if (next === undefined) return;
        void admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules: next }, anyone).then(this.#told(fault.kind));
        return;
      }
    }
  }

  #told(what: string) {
    return (reply: { failure?: { code: string; message: string } | undefined }) =>
      this.#world.trace.note("admin", what, reply.failure?.code ?? "done", reply.failure?.message ?? "");
  }

  #propose(zone: string, names: readonly string[], via: string): void {
    const revision = ++this.#revision;
    const call = { zone, revision, hash: `${revision}`, expectedConfigIndex: 0 };
    const members = names.map((one) => declared(this.#world, one));
    void this.#world
      .box(via)
      .node?.box.admin.proposeMembership({ ...call, members }, anyone)
      .then(this.#told("members"));
  }

  /** Whoever was asked to stop has stopped and serves again. A stop may wait for a hand-over until after `heal`. */
  get areStopsOver(): boolean {
    return this.#stops.every(({ box, life }) => box.gone || (box.life !== life && box.up));
  }

  /** Everything works again: processes run, the network is calm, disks have room. What was damaged is repaired by itself. */
  heal(): void {
    this.#over = true;
    this.#world.triggers.disarm();
    const { hub, processes } = this.#world;
    this.#world.trace.note("heal");
    hub.healAll();
    hub.faults = { ...hub.faults, delayMaxMs: 0.5, lossRate: 0, duplicateRate: 0, reorder: false };
    this.#world.clientLoss = 0;
    for (const process of processes.values()) {
      process.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      process.disk.resume();
      if (process.life.paused) process.life.resume();
      process.start();
    }
  }
}

function flipBit(box: DataBox, place: number): void {
  const names = [...box.disk.files.keys()].toSorted();
  const name = names[Math.floor(place * names.length)];
  const bytes = name === undefined ? undefined : box.disk.files.get(name);
  if (name === undefined || bytes === undefined) return;
  // Where something was written: the rest of a segment is zeros that nobody reads.
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  if (end > 0) box.disk.flipBit(name, Math.floor(((place * 7_919) % 1) * end), Math.floor((place * 104_729) % 8));
}

function withMode(rules: readonly ZoneRule[], { zone, mode }: { zone: string; mode: string }): ZoneRule[] {
  return rules.map((rule) => (rule.zone === zone ? { ...rule, mode } : rule));
}

function withExtra(rules: readonly ZoneRule[], add: boolean, log: number | undefined): ZoneRule[] | undefined {
  const others = rules.filter((rule) => rule.zone !== "extra");
  const bound = rules.some((rule) => rule.zone === "extra" && rule.state === "active");
  if (bound === add || log === undefined) return undefined;
  if (!add) return others;
  return [...others, ruleFor({ zone: "extra", pattern: "/x/**", mode: "strong_ha", members: [] }, log)];
}
