import type { Command } from "@nexus-federation/proto/command.ts";
import type { GroupHost } from "../group/host.ts";
import type { DurableLog, ReplicaState, States } from "../group/ports.ts";
import { recordsGroup } from "../group/records.ts";
import type { LogWrite } from "../log/records.ts";
import type { RecoveredGroup } from "../log/replay.ts";
import type { LogEntry } from "../machine/api.ts";
import { CommitWatch } from "./commit-watch.ts";
import type { DataBox } from "./data-box.ts";
import { ShadowLog } from "./shadow.ts";
import { require } from "./violation.ts";

/** Writes under way at once (group/settings.ts appendsMax), and one more: what tells that a write was durable comes behind. */
const newestMax = 5;

/** Watches one disk through the ports of the host above it: what is written, what is durable, what is applied. */
export class ReplicaWatch {
  readonly #box: DataBox;
  /** By log and generation: as handed to the log, and as known durable. */
  readonly #issued = new Map<string, ShadowLog>();
  readonly #durable = new Map<string, ShadowLog>();
  /** The last writes that became durable: nothing behind them on the disk says that they did. */
  #newest: (readonly LogWrite[])[] = [];
  /** As they were when they were removed. */
  readonly #removed = new Map<string, ShadowLog>();
  readonly #states = new Map<string, ReplicaState>();
  /** Highest index applied in this life. */
  readonly #applied = new Map<string, number>();
  readonly #commits: CommitWatch;
  /** A bit was flipped on this disk: the log may say that it is corrupt. */
  damaged = false;

  constructor(box: DataBox) {
    this.#box = box;
    this.#commits = new CommitWatch(box);
  }

  log(inner: DurableLog): DurableLog {
    const { life } = this.#box;
    return {
      append: (writes) => {
        for (const write of writes) this.#issue(write);
        return inner.append(writes).then(() => {
          if (!life.alive) return;
          for (const write of writes) this.#shadow(this.#durable, write).write(write);
          this.#newest.push(writes);
          if (this.#newest.length > newestMax) this.#newest.shift();
        });
      },
    };
  }

  #shadow(shadows: Map<string, ShadowLog>, { group, generation }: { group: number; generation: number }): ShadowLog {
    const key = `${group}/${generation}`;
    const known = shadows.get(key);
    if (known !== undefined) return known;
    const made = new ShadowLog();
    shadows.set(key, made);
    return made;
  }

  #issue(write: LogWrite): void {
    const shadow = this.#shadow(this.#issued, write);
    const key = `${write.group}/${write.generation}`;
    if (write.removeGroup === true) {
      this.#applied.delete(key);
      if (shadow.lastIndex > 0) this.#removed.set(key, shadow.copy());
    }
    const known = this.#applied.get(key) ?? 0;
    const tells = write.reset === true || write.hardState === undefined || write.hardState.commit >= known;
    require(tells, () =>
      `${this.#box.name} log ${write.group}: writes commit ${write.hardState?.commit} after ${known} was applied`);
    shadow.write(write);
    if (write.snapshotMeta !== undefined && write.reset === true) this.#box.world.moment("snapshot", write.group);
    if (write.group === recordsGroup || write.entries === undefined) return;
    this.#box.world.facts(write.group, write.generation).written(this.#box.name, shadow, write.entries);
  }

  /** What the next life found must hold all that was durable. */
  recovered(groups: Iterable<RecoveredGroup>, corrupt: string | undefined): void {
    this.#applied.clear();
    const found = new Map<string, RecoveredGroup>();
    for (const group of groups) found.set(`${group.group}/${group.generation}`, group);
    for (const [key, shadow] of this.#durable) {
      if (!this.damaged) this.#compare(key, shadow, found.get(key));
      else if (corrupt === undefined) this.#compareDamaged(key, shadow, found.get(key));
    }
    this.#newest = [];
    this.#durable.clear();
    this.#issued.clear();
    for (const [key, group] of found) {
      const shadow = new ShadowLog();
      shadow.recovered(group);
      this.#durable.set(key, shadow);
      this.#issued.set(key, shadow.copy());
    }
  }

  #compare(key: string, shadow: ShadowLog, found: RecoveredGroup | undefined): void {
    const who = `${this.#box.name} log ${key}`;
    require(found?.corrupt === undefined, () => `${who} counts as corrupt, but nothing was damaged: ${found?.corrupt}`);
    const empty = shadow.lastIndex === 0 && shadow.hard.term === 0;
    if (empty) return;
    const next = new ShadowLog();
    if (found !== undefined) next.recovered(found);
    // A write under way at the end may have dropped or overwritten what was durable.
    const issued = this.#issued.get(key) ?? shadow;
    const { hard } = next;
    const before = shadow.hard;
    const kept = hard.term > before.term || (hard.term === before.term && (!before.vote || hard.vote === before.vote));
    const reset = issued.hard.term < before.term || issued.hard.commit < before.commit;
    require(kept || reset, () => `${who} lost its vote: ${JSON.stringify(before)} became ${JSON.stringify(hard)}`);
    require(hard.commit >= before.commit || reset, () => `${who} lost its commit index ${before.commit}`);
    if (next.start.index > shadow.lastIndex) return;
    const last = shadow.termAt(shadow.lastIndex) ?? 0;
    const dropped = !issued.holds(shadow.lastIndex, last);
    require(next.holds(shadow.lastIndex, last) || dropped, () => {
      return `${who} lost durable entry ${shadow.lastIndex} of term ${last}`;
    });
  }

  /** Data that a flipped bit took must be missed, unless it lay in the last writes and could be a torn tail. */
  #compareDamaged(key: string, shadow: ShadowLog, found: RecoveredGroup | undefined): void {
    if (found?.corrupt !== undefined) return;
    let sure = shadow.lastIndex;
    for (const write of this.#newest.flat()) {
      if (`${write.group}/${write.generation}` !== key) continue;
      const first = write.entries?.[0]?.index ?? sure + 1;
      sure = write.reset === true || write.removeGroup === true ? 0 : Math.min(sure, first - 1);
    }
    if (sure <= 0) return;
    const next = new ShadowLog();
    if (found !== undefined) next.recovered(found);
    const kept = next.start.index > sure || next.holds(sure, shadow.termAt(sure) ?? 0);
    require(kept, () =>
      `${this.#box.name} log ${key} ends at ${next.lastIndex} after damage, which it takes for its true end: ${sure} was durable long before`);
  }

  states(inner: States): States {
    return {
      open: (log, generation, storedAs) => this.#watched(log, generation, inner.open(log, generation, storedAs)),
      drop: (log, storedAs) => inner.drop(log, storedAs),
      commit: () => inner.commit(),
    };
  }

  #watched(log: number, generation: number, state: ReplicaState): ReplicaState {
    this.#states.set(`${log}/${generation}`, state);
    const setPosition = state.setPosition.bind(state);
    let config: Uint8Array | undefined;
    state.setPosition = (position) => {
      setPosition(position);
      if (config !== position.config) this.#reconfigured(log, generation);
      config = position.config;
    };
    const apply = state.apply.bind(state);
    const box = this.#box;
    state.apply = (entry: LogEntry, command: Command | undefined) => {
      const applied = apply(entry, command);
      this.#applied.set(`${log}/${generation}`, entry.index);
      const term = () => box.host?.view(log)?.term ?? 0;
      const first = box.world.facts(log, generation).applied({ box: box.name, entry, command, applied, term });
      if (first) this.#commits.applied(log, generation, entry.index);
      return applied;
    };
    return state;
  }

  #reconfigured(log: number, generation: number): void {
    this.#commits.applied(log, generation);
    const view = this.#box.host?.view(log);
    if (view?.isLeader === true && view.config.votersOutgoing.length > 0) this.#box.world.moment("joint", log);
  }

  /** The whole state, as a snapshot would carry it. */
  stateBytes(log: number, generation: number): Buffer {
    const snapshot = this.#states.get(`${log}/${generation}`)?.snapshot();
    const bytes = Buffer.concat([...(snapshot?.pieces() ?? [])]);
    snapshot?.close();
    return bytes;
  }

  listen(host: GroupHost): void {
    host.onLeadership((log, view) => {
      if (!view.isLeader) return;
      this.#commits.leads(view);
      const { generation, term } = view;
      const shadow = this.#shadow(this.#issued, { group: log, generation });
      this.#box.world.facts(log, generation).leads(this.#box, term, shadow);
    });
  }

  issued(log: number, generation: number): ShadowLog | undefined {
    return this.#issued.get(`${log}/${generation}`);
  }

  removed(log: number, generation: number): ShadowLog | undefined {
    return this.#removed.get(`${log}/${generation}`);
  }

  durable(log: number, generation: number): ShadowLog | undefined {
    return this.#durable.get(`${log}/${generation}`);
  }

  /** The entry is durable here: in its generation, or taken into the next one when that one ended without its quorum. */
  keeps(log: number, generation: number, entry: { index: number; term: number }): boolean {
    if (this.durable(log, generation)?.holds(entry.index, entry.term) === true) return true;
    const ended = this.removed(log, generation)?.holds(entry.index, entry.term) === true;
    return ended && (this.durable(log, generation + 1)?.holds(entry.index, entry.term) ?? false);
  }
}
