import { type BootstrapRecord, GroupConfig, type HostRecord } from "@nexus-federation/proto/raft.ts";
import { isGroup } from "../log/group-index.ts";
import type { RecoveredGroup } from "../log/replay.ts";
import { firstConfig, replicaOf } from "./config.ts";
import type { HostCore } from "./core.ts";
import type { NextGeneration } from "./lost-quorum.ts";
import { notApplied } from "./pending.ts";
import type { ReplicaState } from "./ports.ts";
import { recordsGroup } from "./records.ts";
import { openReplica } from "./recovery.ts";
import type { Replica } from "./replica.ts";
import type { WireMessage } from "./wire.ts";

export interface ReplicasHooks {
  /** A replica is about to go: whoever keeps something for it lets go. */
  leaving(replica: Replica): void;
  mayStartSnapshot(): boolean;
}

/** How replicas come to this box and leave it: recovered, begun, called for by a leader, removed. */
export class Replicas {
  readonly #core: HostCore;
  readonly #hooks: ReplicasHooks;

  constructor(core: HostCore, hooks: ReplicasHooks) {
    this.#core = core;
    this.#hooks = hooks;
  }

  recover(recovered: RecoveredGroup[], corrupt: string | undefined): void {
    const groups = new Map<number, RecoveredGroup>();
    for (const group of recovered) {
      // A generation that was begun and not entered counts for nothing.
      if (this.#core.records.get(group.group)?.generation === group.generation) groups.set(group.group, group);
    }
    for (const record of this.#core.records.all()) {
      const { log, generation } = record;
      const storedAs = record.stateGeneration || generation;
      if (record.removed) {
        // The deletion was not synced: a later replica must not begin with what a power cut brought back.
        this.#core.needs.states.drop(log, storedAs);
        continue;
      }
      const group = damaged(groups.get(log), record, corrupt);
      const state = this.#core.needs.states.open(log, generation, storedAs);
      this.#open({ log, generation, replica: record.replica, group, state });
    }
    this.#core.needs.states.commit();
  }

  #open(init: {
    log: number;
    generation: number;
    replica: number;
    group: RecoveredGroup | undefined;
    state: ReplicaState;
  }): Replica {
    const { self, settings, needs, turns, pendingTotal, ticks } = this.#core;
    const { log, generation, replica: id, group: recovered, state } = init;
    const mayStartSnapshot = () => this.#hooks.mayStartSnapshot();
    const { replica, repair } = openReplica(
      { self, settings, random: needs.random, pendingTotal, ticks, logger: needs.logger, mayStartSnapshot },
      { log, generation, replica: id, recovered, state },
    );
    if (repair !== undefined) turns.write([repair], () => {});
    this.#core.replicas.set(log, replica);
    this.#core.attended.add(replica);
    turns.mark(replica);
    return replica;
  }

  /** A log begins here: everything of it is durable, with the record that it was known, before anything runs. */
  begin(record: BootstrapRecord, initiated: boolean, done: () => void): void {
    const { log, generation, members, zone, timing, federationUid } = record;
    const { self, records, turns, needs } = this.#core;
    const config = firstConfig(members, { zone, timing, federationUid });
    const conf = GroupConfig.encode(config).finish();
    const replica = replicaOf(config, self.box, self.incarnation);
    const hardState = { term: 1, vote: 0, commit: 1 };
    const snapshotMeta = { index: 1, term: 1, epoch: 0, conf };
    const remembered = { log, generation, replica, removed: false, federationUid, stateGeneration: 0, lost: "" };
    const known = records.set({ ...remembered, initiated: initiated ? record : undefined });
    turns.write([known, { group: log, generation, reset: true, hardState, snapshotMeta }], () => {
      const state = needs.states.open(log, generation);
      const group = { group: log, generation, hardState, snapshotMeta, entries: [] };
      this.#open({ log, generation, replica, group, state });
      needs.states.commit();
      done();
    });
  }

  /** The log goes on here in its next generation, over the state that there is (lost-quorum.ts). */
  succeed(former: Replica, { group, writes }: NextGeneration): Promise<void> {
    const { records, turns, needs } = this.#core;
    const { log, generation, id: replica } = former;
    const known = records.of(log, generation);
    const storedAs = known.stateGeneration || generation;
    this.#forget(former);
    needs.states.commit();
    const changed = { generation: group.generation, replica, removed: false, initiated: undefined };
    const record = records.set({ ...known, ...changed, stateGeneration: storedAs });
    return new Promise((resolve) => {
      for (const write of writes) turns.write([write], () => {});
      turns.write([record, { group: log, generation, removeGroup: true }], () => {
        const state = needs.states.open(log, group.generation, storedAs);
        this.#open({ log, generation: group.generation, replica, group, state });
        needs.states.commit();
        resolve();
      });
    });
  }

  /** Every member has the log. Whoever founded it stands for election at once: nobody led before it. */
  told(log: number): void {
    const { records, replicas, turns } = this.#core;
    const record = records.get(log);
    if (record === undefined) return;
    turns.write([records.set({ ...record, initiated: undefined })], () => {});
    const replica = replicas.get(log);
    if (replica === undefined || replica.mute || replica.leaderBox !== "") return;
    replica.node.campaign();
    turns.mark(replica);
  }

  /** A leader calls for a replica that is not here: a new learner, or the successor of one that is gone or lost data. */
  create(wire: WireMessage): Replica | undefined {
    const { records, replicas, settings, needs, turns } = this.#core;
    const { type, to } = wire.message;
    const { log, generation } = wire;
    const current = replicas.get(log);
    const mayCall = type === "MsgApp" || type === "MsgHeartbeat" || type === "MsgSnap";
    const known = records.of(log, generation);
    if (!mayCall || log === recordsGroup || !isGroup(log, generation) || generation < known.generation) return current;
    if (generation === known.generation && to <= known.replica) return current;
    if (current === undefined && replicas.size >= settings.logsMax) return current;
    if (current !== undefined) {
      if (current.inFlight > 0 || current.installing) return undefined;
      this.#forget(current);
      current.state.destroy();
    }
    const begun = { generation, replica: to, removed: false, initiated: undefined, stateGeneration: 0, lost: "" };
    const record = records.set({ ...known, ...begun });
    const gone = [...new Set([generation, known.generation])].map((each) => ({
      group: log,
      generation: each,
      removeGroup: true as const,
    }));
    turns.write([record, ...gone], () => {});
    const state = needs.states.open(log, generation);
    return this.#open({ log, generation, replica: to, group: undefined, state });
  }

  #forget(replica: Replica): void {
    this.#hooks.leaving(replica);
    this.#core.replicas.delete(replica.log);
    this.#core.attended.delete(replica);
    this.#core.turns.forget(replica);
    replica.abandon(notApplied(""));
  }

  remove(log: number): Promise<void> {
    const { records, turns, replicas } = this.#core;
    const record = records.get(log);
    if (record === undefined || record.removed) return Promise.resolve();
    const replica = replicas.get(log);
    if (replica !== undefined) this.#forget(replica);
    const { generation } = record;
    const tombstone = records.set({ ...record, removed: true, initiated: undefined });
    return new Promise((resolve) => {
      turns.write([tombstone, { group: log, generation, removeGroup: true }], () => {
        replica?.state.destroy();
        resolve();
      });
    });
  }
}

/** What was found of a log, with the reason why it must not be used, if there is one. */
function damaged(
  found: RecoveredGroup | undefined,
  { log: group, generation, lost }: HostRecord,
  corrupt: string | undefined,
): RecoveredGroup | undefined {
  const reason = lost !== "" ? lost : found === undefined ? corrupt : undefined;
  if (reason === undefined) return found;
  const unknown = { group, generation, hardState: { term: 0, vote: 0, commit: 0 }, entries: [] };
  return { ...(found ?? { ...unknown, snapshotMeta: undefined }), corrupt: reason };
}
