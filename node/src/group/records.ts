import { type HostRecord, HostRecords } from "@nexus-federation/proto/raft.ts";
import { NexusError } from "../base/errors.ts";
import type { LogWrite } from "../log/records.ts";

/** Group number in the segment log under which the host keeps its own records. No log has it. */
export const recordsGroup = 0;

/**
 * Tombstones kept, the newest. One is there for what may still be under way when a log is removed, a bootstrap told again
 * or a message of its former leader, and every change of a record writes them all.
 */
export const tombstonesMax = 1_024;

/**
 * What this box remembers of every log it ever knew: its replica id, whether it was removed, and bootstraps under way.
 * It decides what a message for an unknown log may create, so it must not be lost or come back older than the log: it
 * lives in the log's own file, as the "configuration" of a group that has no entries.
 */
export class Records {
  readonly #byLog = new Map<number, HostRecord>();
  #version: number;

  constructor(stored: { index: number; conf: Uint8Array } | undefined) {
    this.#version = stored?.index ?? 0;
    if (stored === undefined) return;
    for (const record of recordsIn(stored.conf)) this.#byLog.set(record.log, record);
  }

  get(log: number): HostRecord | undefined {
    return this.#byLog.get(log);
  }

  all(): Iterable<HostRecord> {
    return this.#byLog.values();
  }

  /** Changes a record; durable with the write that is returned. */
  set(record: HostRecord): LogWrite {
    if (record.removed) this.#byLog.delete(record.log);
    this.#byLog.set(record.log, record);
    if (record.removed) this.#dropTombstones();
    const conf = HostRecords.encode({ records: [...this.#byLog.values()] }).finish();
    this.#version++;
    return {
      group: recordsGroup,
      generation: 0,
      snapshotMeta: { index: this.#version, term: 0, epoch: 0, conf },
    };
  }

  /** They stand in the order in which their logs were removed. */
  #dropTombstones(): void {
    const removed = [...this.#byLog.values()].filter((record) => record.removed);
    for (const { log } of removed.slice(0, Math.max(0, removed.length - tombstonesMax))) this.#byLog.delete(log);
  }

  /** The record of a log, or what one that was never known has. */
  of(log: number, generation: number): HostRecord {
    return this.#byLog.get(log) ?? { ...blank, log, generation };
  }
}

const blank: HostRecord = {
  log: 0,
  generation: 0,
  replica: 0,
  removed: false,
  initiated: undefined,
  federationUid: "",
  stateGeneration: 0,
  lost: "",
};

function recordsIn(bytes: Uint8Array): HostRecord[] {
  try {
    return HostRecords.decode(bytes).records;
  } catch (cause) {
    const text =
      "What this box remembers of its logs cannot be read: empty its folder, and it is filled from the others.";
    throw new NexusError("CORRUPT", text, { cause });
  }
}
