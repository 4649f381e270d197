import { type HostRecord, HostRecords } from "@nexus-federation/proto/raft.ts";
import type { LogWrite } from "../log/records.ts";

/** Group number in the segment log under which the host keeps its own records. No log has it. */
export const recordsGroup = 0;

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
    for (const record of HostRecords.decode(stored.conf).records) this.#byLog.set(record.log, record);
  }

  get(log: number): HostRecord | undefined {
    return this.#byLog.get(log);
  }

  all(): Iterable<HostRecord> {
    return this.#byLog.values();
  }

  /** Changes a record; durable with the write that is returned. */
  set(record: HostRecord): LogWrite {
    this.#byLog.set(record.log, record);
    const conf = HostRecords.encode({ records: [...this.#byLog.values()] }).finish();
    this.#version++;
    return {
      group: recordsGroup,
      generation: 0,
      snapshotMeta: { index: this.#version, term: 0, epoch: 0, conf },
    };
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
