import { crc32 } from "node:zlib";
import type { LogWrite } from "../log/records.ts";
import type { RecoveredGroup } from "../log/replay.ts";
import type { Entry, HardState } from "../raft/types.ts";

export interface ShadowEntry {
  term: number;
  epoch: number;
  /** Of type and data. */
  digest: number;
}

export function shadowOf({ term, epoch, type, data }: Entry): ShadowEntry {
  return { term, epoch, digest: crc32(data, type.length) };
}

/** What a disk holds of one log, told by the writes alone. */
export class ShadowLog {
  start = { index: 0, term: 0 };
  entries: ShadowEntry[] = [];
  hard: HardState = { term: 0, vote: 0, commit: 0 };

  write(write: LogWrite): void {
    if (write.reset === true || write.removeGroup === true) {
      this.start = { index: 0, term: 0 };
      this.entries = [];
      this.hard = { term: 0, vote: 0, commit: 0 };
    }
    if (write.hardState !== undefined) this.hard = write.hardState;
    const meta = write.snapshotMeta;
    if (meta !== undefined) {
      const dropped = meta.index - this.start.index;
      if (dropped > 0) this.entries.splice(0, dropped);
      this.start = { index: meta.index, term: meta.term };
    }
    const first = write.entries?.[0];
    if (first === undefined || write.entries === undefined) return;
    if (this.entries.length === 0 && this.start.index === 0) this.start = { index: first.index - 1, term: 0 };
    this.entries.length = Math.max(0, Math.min(this.entries.length, first.index - this.start.index - 1));
    for (const entry of write.entries) this.entries.push(shadowOf(entry));
  }

  recovered(group: RecoveredGroup): void {
    this.start = { index: group.snapshotMeta?.index ?? 0, term: group.snapshotMeta?.term ?? 0 };
    this.entries = group.entries.map(shadowOf);
    this.hard = group.hardState;
    const first = group.entries[0];
    if (first !== undefined && group.snapshotMeta === undefined) this.start = { index: first.index - 1, term: 0 };
  }

  get lastIndex(): number {
    return this.start.index + this.entries.length;
  }

  /** Term at an index; undefined beyond the end, 0 where a snapshot covers it and its term is not known any more. */
  termAt(index: number): number | undefined {
    if (index === this.start.index) return this.start.term;
    if (index < this.start.index) return 0;
    return this.entries[index - this.start.index - 1]?.term;
  }

  /** The entry at an index; undefined beyond the end and below the start. */
  entryAt(index: number): ShadowEntry | undefined {
    return this.entries[index - this.start.index - 1];
  }

  /** True when the entry of that term, or a snapshot that covers it, is here. */
  holds(index: number, term: number): boolean {
    const found = this.termAt(index);
    return found === term || found === 0;
  }

  copy(): ShadowLog {
    const copy = new ShadowLog();
    copy.start = this.start;
    copy.entries = [...this.entries];
    copy.hard = this.hard;
    return copy;
  }
}
