import type { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { Random } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { LogWrite } from "../log/records.ts";
import type { RecoveredGroup } from "../log/replay.ts";
import type { TickCount } from "../raft/config.ts";
import { RawNode } from "../raft/rawnode.ts";
import type { HardState, Logger } from "../raft/types.ts";
import { confStateOf, emptyConfig, replicaOf } from "./config.ts";
import { checkEntry, readConfig } from "./config-bytes.ts";
import type { SelfIdentity } from "./core.ts";
import type { PendingTotal } from "./pending.ts";
import type { ReplicaState, StatePosition } from "./ports.ts";
import { Replica } from "./replica.ts";
import { ReplicaStorage } from "./replica-storage.ts";
import { type HostSettings, regionTiming, type Timing, timingOf } from "./settings.ts";

export interface OpenNeeds {
  self: SelfIdentity;
  settings: HostSettings;
  random: Random;
  pendingTotal: PendingTotal;
  ticks: TickCount;
  logger: Logger | undefined;
  /** False while no more snapshots may be started. */
  mayStartSnapshot(): boolean;
}

export interface OpenReplica {
  log: number;
  generation: number;
  /** Own id as recorded; the configuration may know a newer one. */
  replica: number;
  recovered: RecoveredGroup | undefined;
  state: ReplicaState;
}

/** What of a log survived, brought together. */
interface Standing {
  position: StatePosition | undefined;
  start: { index: number; term: number; epoch: number };
  entries: RecoveredGroup["entries"];
  hardState: HardState;
  /** Why the replica may not take part; undefined when all is well. */
  lost: string | undefined;
  /** What must be durable before the replica runs. */
  repair: LogWrite | undefined;
}

const zero: HardState = { term: 0, vote: 0, commit: 0 };

/**
 * Opens a replica from its log and its applied state, which are written apart: the state without fsync, so it may be
 * behind; and, when a snapshot was being installed, ahead.
 *
 * A replica that lost what it may have acknowledged is mute: it neither votes nor acknowledges under its id, ever again.
 * To let it catch up under the same id would not do: its leader may still count old acknowledgements of entries that are
 * gone. It asks to be replaced by a new replica id, which starts as a learner with nothing.
 */
export function openReplica(needs: OpenNeeds, open: OpenReplica): { replica: Replica; repair: LogWrite | undefined } {
  const standing = standingOf(open);
  const { position } = standing;
  // A replica that lost its state still knows from its log whom to ask.
  const stored = configOf(position?.config, open.recovered?.snapshotMeta?.conf);
  const config = typeof stored === "string" ? emptyConfig() : stored;
  const lost = standing.lost ?? (typeof stored === "string" ? stored : undefined);
  const { self, settings } = needs;
  const id = Math.max(open.replica, replicaOf(config, self.box, self.incarnation), 1);
  const conf = confStateOf(config);
  const storage = new ReplicaStorage(lost === undefined ? conf : confStateOf(emptyConfig()), () => {
    const at = replica.state.position;
    if (at === undefined || !needs.mayStartSnapshot()) return "unavailable";
    return { index: at.index, term: at.term, epoch: at.epoch, confState: confStateOf(replica.config) };
  });
  if (lost === undefined) {
    const { index, term, epoch } = standing.start;
    if (index > 0) storage.startAt(index, term, epoch);
    storage.append(standing.entries);
    storage.setHardState(standing.hardState);
  }
  const timing = timingFor(config.timing);
  const node = newNode({ needs, id, timing, storage, applied: lost === undefined ? (position?.index ?? 0) : 0 });
  const replica: Replica = new Replica({
    log: open.log,
    generation: open.generation,
    id,
    config,
    timing,
    node,
    storage,
    state: open.state,
    hardState: standing.hardState,
    settings,
    pendingTotal: needs.pendingTotal,
    readSeed: Math.floor(needs.random.unit() * 2 ** 40),
  });
  replica.mute = lost !== undefined;
  if (lost !== undefined) needs.logger?.error?.(`log ${open.log}: needs replication: ${lost}`);
  return { replica, repair: standing.repair };
}

/**
 * The log's begin knows of a recovery from a lost quorum before the state does, which is written later. The sentence says
 * that neither can be read.
 */
function configOf(applied: Uint8Array | undefined, begin: Uint8Array | undefined): GroupConfig | string {
  try {
    const first = begin === undefined ? emptyConfig() : readConfig(begin);
    const config = applied === undefined ? first : readConfig(applied);
    return (first.recovery?.epoch ?? 0) > (config.recovery?.epoch ?? 0) ? first : config;
  } catch (error) {
    return messageOf(error);
  }
}

/** Why the log cannot be applied here; what other logs of the box hold does not depend on it. */
function unreadable(entries: RecoveredGroup["entries"]): string | undefined {
  for (const { index, type, data } of entries) {
    try {
      checkEntry(type, data);
    } catch (error) {
      return `entry ${index}: ${messageOf(error)}`;
    }
  }
  return undefined;
}

/** The profile a configuration names; one written by a newer version that is not understood counts as `region`. */
function timingFor(text: string): Timing {
  const timing = timingOf(text);
  return "electionMs" in timing ? timing : regionTiming;
}

function newNode(init: {
  needs: OpenNeeds;
  id: number;
  timing: Timing;
  storage: ReplicaStorage;
  applied: number;
}): RawNode {
  const { needs, id, timing, storage, applied } = init;
  const { settings } = needs;
  const ticks = (ms: number) => Math.max(1, Math.round(ms / settings.tickMs));
  return new RawNode({
    id,
    electionTick: Math.max(ticks(timing.heartbeatMs) + 1, ticks(timing.electionMs)),
    heartbeatTick: ticks(timing.heartbeatMs),
    soloAfterTicks: Math.min(ticks(timing.soloAfterMs), Math.max(1, ticks(timing.electionMs) - 1)),
    storage,
    random: needs.random,
    applied,
    asyncStorageWrites: true,
    messageBytesMax: settings.messageBytesMax,
    applyingBytesMax: 8 * settings.messageBytesMax,
    inflightCountMax: settings.inflightCountMax,
    inflightBytesMax: settings.inflightBytesMax,
    checkQuorum: true,
    preVote: true,
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
    quietCommits: true,
    ticks: needs.ticks,
    logger: needs.logger,
  });
}

function standingOf({ log, generation, recovered, state }: OpenReplica): Standing {
  const { position } = state;
  const meta = recovered?.snapshotMeta;
  const start = { index: meta?.index ?? 0, term: meta?.term ?? 0, epoch: meta?.epoch ?? 0 };
  const entries = recovered?.entries ?? [];
  const hardState = recovered?.hardState ?? zero;
  const base: Standing = { position, start, entries, hardState, lost: undefined, repair: undefined };
  const lost = recovered?.corrupt ?? unreadable(entries);
  if (lost !== undefined) return { ...base, lost };
  if (position === undefined) return withoutState(base, { recovered, state });
  if (position.index < start.index) {
    return { ...base, lost: `the state ends at ${position.index}, the log begins after ${start.index}` };
  }
  const termThere = position.index === start.index ? start.term : entries[position.index - start.index - 1]?.term;
  const commit = Math.max(hardState.commit, position.index);
  if (termThere === position.term) return { ...base, hardState: { ...hardState, commit } };
  // A snapshot became the live state, and the crash came before the log could follow.
  const { index, term, epoch, config } = position;
  const next: HardState = term > hardState.term ? { term, vote: 0, commit: index } : { ...hardState, commit: index };
  const snapshotMeta = { index, term, epoch, conf: config };
  const repair: LogWrite = { group: log, generation, reset: true, hardState: next, snapshotMeta };
  return { ...base, start: { index, term, epoch }, entries: [], hardState: next, repair };
}

/** A log without applied state: a replica that never got its snapshot, one just bootstrapped, or one that lost it. */
function withoutState(
  base: Standing,
  { recovered, state }: { recovered: RecoveredGroup | undefined; state: ReplicaState },
): Standing {
  const meta = recovered?.snapshotMeta;
  if (meta === undefined) {
    return base.entries.length === 0 ? base : { ...base, lost: "there are entries, but no configuration" };
  }
  if (meta.index !== 1 || meta.epoch !== 0) return { ...base, lost: "the applied state is gone" };
  const position: StatePosition = { index: 1, term: meta.term, epoch: 0, config: meta.conf };
  state.setPosition(position);
  const commit = Math.max(1, base.hardState.commit);
  return { ...base, position, hardState: { ...base.hardState, commit } };
}
