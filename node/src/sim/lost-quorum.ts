import type { AdminReply } from "@nexus-federation/proto/admin.ts";
import type { GroupView } from "../group/api.ts";
import { anyone, type DataBox } from "./data-box.ts";
import { recordOf } from "./founding.ts";
import type { Fault } from "./plan.ts";
import { require } from "./violation.ts";
import { WitnessBox } from "./witness-box.ts";
import type { World } from "./world.ts";

/** Pause between two steps of whoever operates the federation, ms. */
const stepMs = 120;
/** How long a box that was given up comes back with the disk that was said to be gone, ms. */
const ghostMs = 900;

type Loss = Extract<Fault, { kind: "loseQuorum" }>;

/** What is known once the copy that is left goes on. */
interface Ended {
  log: number;
  /** Highest entry applied in the former generation: nobody may get beyond it there any more. */
  appliedIndex: number;
}

/**
 * The main zone loses one full member for good, and its witness's record with it. Whoever operates it recovers from the
 * other member, and gives the zone its members back on new disks. What only the lost ones knew may be gone, so clients'
 * histories prove nothing; what must hold is that everything in the copy goes on, and nobody in the old generation.
 */
export class QuorumLoss {
  readonly #world: World;
  readonly #propose: (zone: string, members: readonly string[], via: string) => void;
  #ended: Ended | undefined;
  #struck = false;
  /** Nothing was lost, or the zone has its members again. */
  isOver = true;

  constructor(world: World, propose: (zone: string, members: readonly string[], via: string) => void) {
    this.#world = world;
    this.#propose = propose;
  }

  strike(fault: Loss): void {
    const victim = this.#world.box(fault.box);
    const view = victim.host?.view(this.#world.logs.get("main") ?? 0);
    if (this.#struck || view === undefined || view.config.votersOutgoing.length > 0) return;
    const { members } = view.config;
    const witness = members.find((one) => one.role === "witness");
    const other = members.find((one) => one.role === "voter" && one.box !== victim.name);
    if (witness === undefined || other === undefined || members.length !== 3) return;
    this.#struck = true;
    this.isOver = false;
    this.#world.gaveUp = true;
    const lost = { abandoned: [victim.incarnation, witness.incarnation], witness: witness.box };
    victim.crash("power");
    victim.gone = true;
    const process = this.#world.process(witness.box);
    if (fault.witness && process instanceof WitnessBox) {
      process.crash("power");
      process.loseRecords();
      this.#later(30, () => process.start());
    }
    this.#recover(this.#world.box(other.box), lost, (left) => {
      this.#endAt(left, view);
      victim.gone = false;
      if (!fault.ghost) return this.#comeBack(victim, left, lost.witness);
      victim.start();
      this.#later(ghostMs, () => {
        victim.crash("power");
        this.#comeBack(victim, left, lost.witness);
      });
    });
  }

  /** Asks the box that is left until it goes on alone. */
  #recover(left: DataBox, lost: { abandoned: Buffer[]; witness: string }, then: (left: DataBox) => void): void {
    const again = () => this.#later(stepMs, () => this.#recover(left, lost, then));
    const view = left.host?.view(this.#world.logs.get("main") ?? 0);
    const admin = left.node?.box.admin;
    if (!left.up || left.life.paused || view === undefined || admin === undefined) return again();
    if (view.generation > 1) return then(left);
    const uid = `${view.config.federationUid}-${view.log}`;
    const { life } = left;
    let over = false;
    const once = (go: () => void) => () => {
      if (!over) go();
      over = true;
    };
    // Its answer dies with the process.
    this.#later(20 * stepMs, once(again));
    const call = { zone: "main", uid, epoch: 1, abandoned: lost.abandoned, acceptDataLoss: true };
    void admin.recover(call, anyone).then((reply: AdminReply) => {
      if (!life.alive) return;
      this.#world.trace.note("admin", "recover", reply.failure?.code ?? "done", reply.failure?.message ?? "");
      once(again)();
    });
  }

  #endAt(left: DataBox, { log, generation }: GroupView): void {
    const before = left.watch.removed(log, generation);
    const after = left.watch.issued(log, generation + 1);
    const facts = this.#world.facts(log, generation);
    this.#ended = { log, appliedIndex: facts.appliedIndex };
    require(before !== undefined && after !== undefined, () =>
      `${left.name} says that log ${log} goes on, and has none`);
    if (before === undefined || after === undefined) return;
    this.#world.facts(log, generation + 1).goesOnFrom(facts, before);
    for (let index = after.start.index + 1; index <= before.lastIndex; index++) {
      require(after.holds(index, before.termAt(index) ?? 0), () =>
        `log ${log}: entry ${index} of ${left.name} was not taken into the next generation`);
    }
  }

  /** On a new disk, registered, and asked for until the zone has its members again. */
  #comeBack(victim: DataBox, left: DataBox, witness: string): void {
    victim.wipe();
    this.#later(20, () => victim.start());
    this.#regrow(victim, left, witness);
  }

  #regrow(victim: DataBox, left: DataBox, witness: string): void {
    const view = left.host?.view(this.#world.logs.get("main") ?? 0);
    const current = view?.config.members ?? [];
    const isBack = current.some(({ box, role, incarnation }) => {
      return box === victim.name && role === "voter" && victim.incarnation.equals(incarnation);
    });
    if (isBack) {
      this.isOver = true;
      return;
    }
    this.#later(stepMs, () => this.#regrow(victim, left, witness));
    const via = this.#world.boxes.find((box) => box !== victim && box.up && !box.life.paused);
    const admin = via?.node?.box.admin;
    if (via === undefined || admin === undefined || !victim.up) return;
    const known = via.node?.directory.boxes.find((one) => one.name === victim.name);
    if (known === undefined || !known.incarnation.equals(victim.incarnation)) {
      void admin.registerBox({ box: recordOf(this.#world, victim.name) }, anyone);
      return;
    }
    const { target } = view?.config ?? {};
    const asked = target?.failure === "" && target.members.some((one) => victim.incarnation.equals(one.incarnation));
    if (view?.isLeader === true && !asked) this.#propose("main", [left.name, victim.name, witness], via.name);
  }

  /** At the end of a run. */
  check(): void {
    if (this.#ended === undefined) return;
    const { log, appliedIndex } = this.#ended;
    const now = this.#world.facts(log, 1).appliedIndex;
    require(now === appliedIndex, () => `log ${log}: its former generation went on from ${appliedIndex} to ${now}`);
  }

  #later(ms: number, fn: () => void): void {
    this.#world.clock.after(ms, fn);
  }
}
