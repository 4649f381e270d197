import type { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { GroupView } from "../group/api.ts";
import type { DataBox } from "./data-box.ts";
import { require } from "./violation.ts";

/** What was certain when a leader was last looked at: all that it commits beyond is its own doing. */
interface Seen {
  config: GroupConfig;
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

  /** The box became leader, or ready. */
  leads({ log, generation, config, commit, term }: GroupView): void {
    const key = `${log}/${generation}`;
    if (this.#seen.get(key)?.term !== term) this.#seen.set(key, { config, commit, term });
  }

  /** Entries were applied, or a configuration took effect. */
  applied(log: number, generation: number, index?: number): void {
    const key = `${log}/${generation}`;
    const seen = this.#seen.get(key);
    if (seen === undefined || (index !== undefined && index <= seen.commit)) return;
    const view = this.#box.host?.view(log);
    if (view === undefined || !view.isLeader || view.generation !== generation || view.term !== seen.term) return;
    const { config, commit, term } = view;
    this.#seen.set(key, { config, commit, term });
    if (commit <= seen.commit) return;
    // What was committed in the turn in which a configuration took effect may have been so by either.
    const configs = config.configIndex === seen.config.configIndex ? [config] : [seen.config, config];
    this.#check(log, generation, { configs, commit, term });
  }

  #check(log: number, generation: number, at: { configs: GroupConfig[]; commit: number; term: number }): void {
    const { configs, commit, term } = at;
    const own = this.#box.watch.issued(log, generation)?.entryAt(commit);
    if (own === undefined) return;
    const who = `log ${log}: ${this.#box.name} commits ${commit} in term ${term}`;
    require(own.term === term, () => `${who}, which is of term ${own.term}`);
    const lacks = configs.map((config) => {
      const entry = { log, generation, config, index: commit, ...own };
      return [config.voters, config.votersOutgoing]
        .map((half) => ({ half, holders: half.filter((replica) => this.#holds(replica, entry)) }))
        .find(({ half, holders }) => half.length > 0 && holders.length <= half.length / 2);
    });
    require(lacks.includes(undefined), () => {
      const text = lacks.map((lack) => `of ${lack?.half} only ${lack?.holders} have it`).join("; ");
      return `${who} epoch ${own.epoch}, but ${text} (witnesses ${configs[0]?.witnesses})`;
    });
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
