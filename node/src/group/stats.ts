import type { HostCore } from "./core.ts";

/** What a host has counted, and what waits in it, as of now: for whoever watches, not for decisions. */
export interface HostStats {
  logs: LogStats[];
  /** Encoded commands taken and not answered. */
  pendingBytes: number;
  /** Frames received and not yet stepped; dropped ones since the start. */
  inboxCount: number;
  inboxBytes: number;
  inboxDropped: number;
  /** Requests to witnesses by "kind/outcome". */
  witness: ReadonlyMap<string, number>;
  /** For how long the write that the disk is at has been under way, ms. */
  stallMs: number;
}

export interface LogStats {
  zone: string;
  /** Entries above the last compaction. */
  entries: number;
  /** Proposals not answered. */
  pending: number;
  /** Proposals answered since this replica was opened. */
  committed: number;
  refused: number;
  unknown: number;
  snapshotsSent: number;
  snapshotsReceived: number;
}

export interface StatsParts {
  inbox: { count: number; bytes: number; dropped: number };
  witness: ReadonlyMap<string, number>;
  snapshots: ReadonlyMap<number, { sent: number; received: number }>;
}

export function statsOf(core: HostCore, parts: StatsParts): HostStats {
  const logs: LogStats[] = [];
  let pendingBytes = 0;
  for (const { log, config, storage, pending, proposals } of core.replicas.values()) {
    const snapshots = parts.snapshots.get(log) ?? { sent: 0, received: 0 };
    pendingBytes += pending.bytes;
    logs.push({
      zone: config.zone,
      entries: storage.lastIndex() - storage.firstIndex() + 1,
      pending: pending.count + proposals.count,
      committed: pending.committed,
      refused: pending.refused + proposals.refused,
      unknown: pending.unknown,
      snapshotsSent: snapshots.sent,
      snapshotsReceived: snapshots.received,
    });
  }
  const { count, bytes, dropped } = parts.inbox;
  const { stallMs } = core.turns;
  return {
    logs,
    pendingBytes,
    inboxCount: count,
    inboxBytes: bytes,
    inboxDropped: dropped,
    witness: parts.witness,
    stallMs,
  };
}
