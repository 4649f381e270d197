import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import { anyone, type DataBox } from "./data-box.ts";
import { declared, ruleFor } from "./founding.ts";
import type { Fault } from "./plan.ts";
import type { Process } from "./process.ts";
import { WitnessBox } from "./witness-box.ts";
import type { World } from "./world.ts";

/** Does what a plan says to a world, and undoes it. */
export class Faults {
  readonly #world: World;
  #revision = 1;
  /** A flipped or wiped disk whose data is not known to be back. */
  #lossy: Process | undefined;
  /** Nothing new is done any more. */
  #over = false;
  /** Number of the zone that rule changes bind and detach. */
  readonly #extraLog: number;

  constructor(world: World, extraLog: number) {
    this.#world = world;
    this.#extraLog = extraLog;
  }

  inject(fault: Fault): void {
    if (this.#over) return;
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
      default:
        return this.#ask(fault);
    }
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
      const leader = this.#world.boxes.find((other) => other !== box && other.host?.view(log)?.isLeader === true);
      const view = leader?.host?.view(log);
      if (view === undefined || view.witnessMode === "SOLO") return false;
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
    const told = (what: string) => (reply: { failure?: { code: string; message: string } | undefined }) =>
      this.#world.trace.note("admin", what, reply.failure?.code ?? "done", reply.failure?.message ?? "");
    switch (fault.kind) {
      case "transfer":
        void admin.transfer({ zone: fault.zone, box: fault.to }, anyone).then(told("transfer"));
        return;
      case "members": {
        const revision = ++this.#revision;
        const call = { zone: fault.zone, revision, hash: `${revision}`, expectedConfigIndex: 0 };
        void admin
          .proposeMembership({ ...call, members: fault.members.map((one) => declared(this.#world, one)) }, anyone)
          .then(told("members"));
        return;
      }
      case "mode":
      case "rule": {
        const { map } = admin.status({ zones: false }, anyone);
        const rules = map?.rules ?? [];
        const next = fault.kind === "mode" ? withMode(rules, fault) : withExtra(rules, fault.add, this.#extraLog);
        if (next === undefined) return;
        void admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules: next }, anyone).then(told(fault.kind));
        return;
      }
    }
  }

  /** Everything works again: processes run, the network is calm, disks have room. What was damaged is repaired by itself. */
  heal(): void {
    this.#over = true;
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

function withExtra(rules: readonly ZoneRule[], add: boolean, log: number): ZoneRule[] | undefined {
  const others = rules.filter((rule) => rule.zone !== "extra");
  const bound = rules.some((rule) => rule.zone === "extra" && rule.state === "active");
  if (bound === add) return undefined;
  if (!add) return others;
  return [...others, ruleFor({ zone: "extra", pattern: "/x/**", mode: "strong_ha", members: [] }, log)];
}
