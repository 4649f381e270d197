import { noBytes } from "../../base/bytes.ts";
import type { Random } from "../../base/clock.ts";
import { seededRandom } from "../../base/seeded-random.ts";
import { membershipRefusal } from "../membership.ts";
import type { ConfChangeSingle } from "../types.ts";
import { Invariants, Violation } from "./invariants.ts";
import { type Box, link, pairConf, World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  /** Change the membership while everything else goes on. */
  readonly membership: boolean;
}

export interface RunResult {
  readonly committed: number;
  readonly readsDone: number;
  readonly localReads: number;
}

type Action = (run: Run) => void;

const HEAL_ROUNDS = 600;

/** Runs one schedule drawn from `seed` and then heals everything; throws `Violation` at the first broken promise. */
export function simulate(options: RunOptions): RunResult {
  const run = new Run(options);
  for (let step = 0; step < options.steps; step++) run.step();
  run.heal();
  run.mustCommit(`after healing (seed ${options.seed})`);
  run.mustBePair();
  run.loseOne();
  run.mustCommit(`after one permanent loss (seed ${options.seed})`);
  run.restartLeader();
  run.mustCommit(`after the remaining leader restarted (seed ${options.seed})`);
  const { readsDone, localReads, commitIndex } = run.invariants;
  return { committed: commitIndex, readsDone, localReads };
}

class Run {
  readonly random: Random;
  readonly invariants: Invariants;
  readonly world: World;
  readonly #membership: boolean;
  /** Quiet runs see modes change within a term, wild ones see terms change. */
  readonly #faultShare: number;
  #values = 0;
  #nextId = 11;

  constructor({ seed, membership }: RunOptions) {
    this.random = seededRandom(seed);
    this.#membership = membership;
    this.#faultShare = this.random.unit() < 0.5 ? 0.1 : 1;
    this.invariants = new Invariants(() => this.world.boxes.values());
    this.world = new World(this.random, this.invariants);
    this.world.addWitness(10);
    for (const id of [1, 2]) this.world.addBox(id, pairConf());
  }

  step(): void {
    let draw = this.random.unit() * totalWeight;
    for (const [weight, action] of actions) {
      draw -= weight;
      if (draw >= 0) continue;
      if (!faults.has(action) || this.random.unit() < this.#faultShare) action(this);
      return;
    }
  }

  below(limit: number): number {
    return Math.floor(this.random.unit() * limit);
  }

  box(): Box {
    const boxes = [...this.world.boxes.values()];
    return boxes[this.below(boxes.length)] as Box;
  }

  leader(): Box | undefined {
    let newest: Box | undefined;
    for (const box of this.world.boxes.values()) {
      if (box.node?.raft.state !== "StateLeader") continue;
      if (newest === undefined || box.node.raft.term > (newest.node?.raft.term ?? 0)) newest = box;
    }
    return newest;
  }

  propose(box: Box): void {
    const value = ++this.#values;
    this.world.act(box, (node) => node.propose([Uint8Array.of(value & 0xff, value >> 8)]));
  }

  read(box: Box): void {
    const context = this.invariants.beginRead();
    this.world.act(box, (node) => node.readIndex(context));
  }

  /** Draws a change and proposes it, if the checks let it pass. */
  changeMembership(): void {
    const box = this.leader();
    if (!this.#membership || box?.node === undefined) return;
    const { raft } = box.node;
    const conf = box.confState;
    if (raft.regime === undefined || raft.pendingConfIndex > box.applied) return;
    const learner = conf.learners[0];
    const full = conf.voters.filter((id) => !conf.witnesses.includes(id));
    const other = full.find((id) => id !== box.id);
    const witness = conf.witnesses[0];
    const changes: ConfChangeSingle[] = [];
    const draw = this.random.unit();
    if (learner === undefined && draw < 0.5 && this.#nextId < 40) {
      const id = this.#nextId++;
      this.world.addBox(id, conf);
      changes.push({ type: "ConfChangeAddLearnerNode", nodeId: id });
    } else if (learner !== undefined && other !== undefined && draw < 0.6) {
      changes.push({ type: "ConfChangeRemoveNode", nodeId: other });
      changes.push({ type: "ConfChangeAddNode", nodeId: learner });
    }
    if (witness !== undefined && draw > 0.4 && this.#nextId < 40 && (changes.length === 0 || draw < 0.5)) {
      const id = this.#nextId++;
      this.world.addWitness(id);
      changes.push({ type: "ConfChangeRemoveNode", nodeId: witness });
      changes.push({ type: "ConfChangeAddWitness", nodeId: id });
    }
    const { mode } = raft.regime.leader;
    const caughtUp = (id: number): boolean => (raft.tracker.progress.get(id)?.match ?? 0) + 4 >= raft.log.lastIndex();
    if (changes.length === 0 || membershipRefusal({ conf, leader: box.id, mode, caughtUp }, changes) !== undefined)
      return;
    const transition = "ConfChangeTransitionAuto";
    this.world.act(box, (node) => node.proposeConfChange({ transition, changes, context: noBytes }));
  }

  heal(): void {
    this.world.cuts.clear();
    this.world.witnessesDown.clear();
    for (const box of this.world.boxes.values()) if (box.node === undefined) this.world.start(box);
  }

  /** Everything that is up works in order and without loss; a value proposed at the leader must get committed. */
  mustCommit(when: string): void {
    let proposed = 0;
    for (let round = 0; round < HEAL_ROUNDS; round++) {
      this.#calmRound();
      const box = this.leader();
      if (box === undefined) continue;
      if (proposed === 0 || round % 40 === 0) {
        this.propose(box);
        proposed = box.node?.raft.log.lastIndex() ?? 0;
      } else if (round > 80 && this.invariants.commitIndex >= proposed) return;
    }
    throw new Violation(`nothing is committed any more ${when}`);
  }

  mustBePair(): void {
    for (let round = 0; round < HEAL_ROUNDS; round++) {
      this.#calmRound();
      const raft = this.leader()?.node?.raft;
      if (raft?.regime?.leader.mode !== "PAIR" || raft.log.committed < raft.log.lastIndex()) continue;
      const voters = [...raft.tracker.progress].filter(([id]) => raft.tracker.config.voters.incoming.has(id));
      const settled = raft.tracker.config.voters.outgoing.size === 0;
      if (settled && voters.every(([, { isWitness, match }]) => isWitness || match === raft.log.lastIndex())) return;
    }
    throw new Violation("the pair does not come together again");
  }

  /** One of the three members is gone for good. */
  loseOne(): void {
    const box = this.leader();
    if (box === undefined) throw new Violation("a healthy pair has a leader");
    const { voters, witnesses } = box.confState;
    const lost = voters[this.below(voters.length)] ?? 0;
    if (witnesses.includes(lost)) this.world.witnessesDown.add(lost);
    const gone = this.world.boxes.get(lost);
    if (gone === undefined) return;
    this.world.crash(gone);
    this.world.boxes.delete(lost);
  }

  restartLeader(): void {
    const box = this.leader();
    if (box === undefined) throw new Violation("whoever remains has a leader");
    this.world.crash(box);
    this.world.start(box);
  }

  #calmRound(): void {
    for (const box of this.world.boxes.values()) {
      this.world.act(box, (node) => node.tick());
      while (box.appends.length > 0) this.world.append(box);
      while (box.applies.length > 0) this.world.apply(box);
    }
    for (let count = this.world.inFlight.length; count > 0; count--) this.world.deliver(0, false);
  }
}

function cut(run: Run): void {
  const { world } = run;
  if (world.cuts.size > 0 && run.random.unit() < 0.5) {
    world.cuts.clear();
    return;
  }
  const ids = [...world.boxes.keys(), ...world.witnesses.keys()];
  const [left = 0, right = 0] = [ids[run.below(ids.length)], ids[run.below(ids.length)]];
  if (left !== right) world.cuts.add(link(left, right));
}

function toggleWitness(run: Run): void {
  const ids = [...run.world.witnesses.keys()];
  const id = ids[run.below(ids.length)] ?? 0;
  if (!run.world.witnessesDown.delete(id)) run.world.witnessesDown.add(id);
}

function toggleBox(run: Run): void {
  const box = run.box();
  if (box.node === undefined) run.world.start(box);
  else run.world.crash(box);
}

function transfer(run: Run): void {
  const target = run.box().id;
  run.world.act(run.box(), (node) => node.transferLeader(target));
}

const actions: readonly (readonly [weight: number, action: Action])[] = [
  [30, (run) => run.world.deliver(0, false)],
  [16, (run) => run.world.deliver(run.below(run.world.inFlight.length), false)],
  [6, (run) => run.world.deliver(run.below(run.world.inFlight.length), true)],
  [2, (run) => void run.world.inFlight.splice(run.below(run.world.inFlight.length), 1)],
  [14, (run) => run.world.act(run.box(), (node) => node.tick())],
  [16, (run) => run.world.append(run.box())],
  [12, (run) => run.world.apply(run.box())],
  [4, (run) => run.propose(run.box())],
  [1.5, (run) => run.read(run.box())],
  [0.3, (run) => run.world.compact(run.box())],
  [0.5, toggleBox],
  [0.6, cut],
  [0.1, toggleWitness],
  [0.15, transfer],
  [0.4, (run) => run.changeMembership()],
];
const faults: ReadonlySet<Action> = new Set([toggleBox, toggleWitness, transfer]);
const totalWeight = actions.reduce((sum, [weight]) => sum + weight, 0);
