import type { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { DataBox } from "./data-box.ts";
import { require } from "./violation.ts";

interface Seen {
  /** The configuration under which the last commit index was looked at. */
  configIndex: number;
  commit: number;
  term: number;
}

/**
 * Holds every commit index of a leader against the disks: the rule of raft-and-witness.md, told by what full members
 * have durable and witnesses have decided, not by what the leader believes of them.
 */
export class CommitWatch {
  readonly #box: DataBox;
  readonly #seen = new Map<string, Seen>();

  constructor(box: DataBox) {
    this.#box = box;
  }

  /** An entry was applied here that nobody had applied before. */
  applied(log: number, generation: number, index: number): void {
    const key = `${log}/${generation}`;
    const seen = this.#seen.get(key);
    if (seen !== undefined && index <= seen.commit) return;
    const view = this.#box.host?.view(log);
    if (view === undefined || !view.isLeader || view.generation !== generation) return;
    const { config, commit, term } = view;
    this.#seen.set(key, { configIndex: config.configIndex, commit, term });
    // What was committed before a change took effect is applied after it: the first look under a configuration, and of
    // a term, tells nothing.
    if (seen?.configIndex !== config.configIndex || seen.term !== term) return;
    this.#check(log, generation, { config, commit, term });
  }

  #check(log: number, generation: number, at: { config: GroupConfig; commit: number; term: number }): void {
    const { config, commit, term } = at;
    const own = this.#box.watch.issued(log, generation)?.entryAt(commit);
    if (own === undefined) return;
    const who = `log ${log}: ${this.#box.name} commits ${commit} in term ${term}`;
    require(own.term === term, () => `${who}, which is of term ${own.term}`);
    const holds = (replica: number) => this.#holds(replica, { log, generation, config, index: commit, ...own });
    for (const half of [config.voters, config.votersOutgoing]) {
      const holders = half.filter(holds);
      require(half.length === 0 || holders.length > half.length / 2, () => {
        const { witnesses, configIndex } = config;
        return `${who} epoch ${own.epoch}, but of ${half} only ${holders} have it (witnesses ${witnesses}, configuration ${configIndex})`;
      });
    }
  }

  #holds(
    replica: number,
    at: { log: number; generation: number; config: GroupConfig; index: number; term: number; epoch: number },
  ): boolean {
    const { world } = this.#box;
    const member = at.config.members.find((one) => one.replica === replica);
    if (member === undefined) return false;
    if (member.role === "witness") {
      const witness = world.witnesses.find((one) => one.name === member.box);
      return witness?.watch.isEngaged(member.incarnation, { term: at.term, epoch: at.epoch }) ?? true;
    }
    const box = world.box(member.box);
    if (box.watch.damaged || box.wiped > 0) return true;
    return box.watch.durable(at.log, at.generation)?.holds(at.index, at.term) === true;
  }
}
