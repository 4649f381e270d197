import { assert } from "../base/assert.ts";
import { NexusError } from "../base/errors.ts";
import type { Disk, DiskFile } from "../log/disk.ts";
import {
  type Change,
  erasedHeader,
  type Frame,
  FrameKind,
  frameBytes,
  type GroupRecord,
  headerBytes,
  type IncarnationKey,
  isOtherVersion,
  readFrame,
  writeFrame,
} from "./format.ts";

export interface RecordStoreSettings {
  /** Records of all groups together; a join beyond is refused. */
  readonly recordsMax: number;
}

const fileNames = ["witness-0", "witness-1"] as const;
/** Room for changes between two compactions, as a multiple of a full snapshot. */
const changesPerSnapshot = 3;
const changesBytesMin = 128 * 1024;

/**
 * The durable records of all groups: a map in memory, and on disk a snapshot with the changes since. Forgetting one vote
 * can elect two leaders, so recovery tells a torn tail (never answered for) from damage: writes follow each other one
 * by one, hence only the very last frame may be torn, and anything valid behind a bad frame means damage, which is
 * refused. For the same reason a superseded file is erased before the new one is used.
 */
export class RecordStore {
  readonly settings: RecordStoreSettings;
  readonly #disk: Disk;
  readonly #records = new Map<IncarnationKey, GroupRecord>();
  /** Records by log and generation. */
  readonly #perGroup = new Map<string, number>();
  readonly #dirty = new Set<IncarnationKey>();
  #files: (DiskFile | undefined)[] = [undefined, undefined];
  #active = 1;
  #end = 0;
  #sequence = 0;
  #flushing = false;

  private constructor(disk: Disk, settings: RecordStoreSettings) {
    this.#disk = disk;
    this.settings = settings;
  }

  /** Throws CORRUPT when a durable record may be lost, VERSION when another format version wrote the files. */
  static async open(disk: Disk, settings: RecordStoreSettings): Promise<RecordStore> {
    const store = new RecordStore(disk, settings);
    const names = await disk.list();
    const contents: (Buffer | undefined)[] = [];
    for (const [i, name] of fileNames.entries()) {
      if (!names.includes(name)) continue;
      const file = await disk.open(name);
      store.#files[i] = file;
      contents[i] = Buffer.from(await file.read(0, file.sizeBytes));
    }
    store.#recover(contents);
    await store.#compact();
    return store;
  }

  get size(): number {
    return this.#records.size;
  }

  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  get(incarnation: IncarnationKey): GroupRecord | undefined {
    return this.#records.get(incarnation);
  }

  /** How many records this group has: one that is used, and those of joins that came to nothing. */
  recordsOf(log: number, generation: number): number {
    return this.#perGroup.get(`${log}/${generation}`) ?? 0;
  }

  /** Gives up the group's records that nobody ever voted or engaged with, but for those that are named. */
  dropUnused(log: number, generation: number, named: ReadonlySet<IncarnationKey>): void {
    for (const [incarnation, group] of this.#records) {
      if (group.log !== log || group.generation !== generation || group.record.term > 0) continue;
      if (!named.has(incarnation)) this.remove(incarnation);
    }
  }

  /** In memory at once, durable with the next flush. */
  put(group: GroupRecord): void {
    const { incarnation } = group.record;
    if (!this.#records.has(incarnation)) this.#count(group, 1);
    assert(this.#records.size < this.settings.recordsMax || this.#records.has(incarnation), "the store has room");
    this.#records.set(incarnation, group);
    this.#dirty.add(incarnation);
  }

  remove(incarnation: IncarnationKey): void {
    const group = this.#records.get(incarnation);
    if (group === undefined) return;
    this.#count(group, -1);
    this.#records.delete(incarnation);
    this.#dirty.add(incarnation);
  }

  /** One write for all changes since the last flush; they are durable when it resolves. One flush at a time. */
  async flush(): Promise<void> {
    assert(!this.#flushing, "one flush at a time");
    this.#flushing = true;
    const file = this.#files[this.#active];
    if (file === undefined || this.#end + frameBytes(this.#dirty.size) > file.sizeBytes) await this.#compact();
    else {
      const changes: Change[] = [];
      for (const incarnation of this.#dirty) changes.push({ incarnation, group: this.#records.get(incarnation) });
      this.#dirty.clear();
      const bytes = writeFrame({ kind: FrameKind.Changes, sequence: ++this.#sequence, changes });
      const at = this.#end;
      this.#end += bytes.length;
      await file.write(at, bytes);
    }
    this.#flushing = false;
  }

  /** Writes everything as a snapshot into the other file, then erases this one. */
  async #compact(): Promise<void> {
    const target = 1 - this.#active;
    const changes = [...this.#records].map(([incarnation, group]): Change => ({ incarnation, group }));
    this.#dirty.clear();
    const bytes = writeFrame({ kind: FrameKind.Snapshot, sequence: ++this.#sequence, changes });
    const sizeBytes = fileBytes(this.settings.recordsMax);
    let file = this.#files[target];
    if (file === undefined || file.sizeBytes < sizeBytes) {
      await file?.close();
      file = await this.#disk.open(fileNames[target]!, { createBytes: sizeBytes });
      this.#files[target] = file;
    }
    await file.write(0, bytes);
    const old = this.#files[this.#active];
    if (old !== undefined && old.sizeBytes >= headerBytes) await old.write(0, erasedHeader());
    this.#active = target;
    this.#end = bytes.length;
  }

  #recover(contents: readonly (Buffer | undefined)[]): void {
    let active = -1;
    let newest: Frame | undefined;
    for (const [i, bytes] of contents.entries()) {
      if (bytes === undefined) continue;
      if (isOtherVersion(bytes))
        throw new NexusError("VERSION", `The witness's ${fileNames[i]} has an unknown format.`);
      const frame = readFrame(bytes, 0);
      if (frame?.kind !== FrameKind.Snapshot || frame.sequence < (newest?.sequence ?? 0)) continue;
      newest = frame;
      active = i;
    }
    let end = 0;
    if (newest !== undefined) end = this.#replay(contents[active]!, newest);
    for (const [i, bytes] of contents.entries()) {
      if (bytes !== undefined) this.#refuseDamage(i, { bytes, from: i === active ? end : headerBytes });
    }
    // Without any snapshot only the very first one may be missing: it is empty and stands alone in the first file.
    if (newest === undefined && contents[1] !== undefined) throw damaged("no file has a whole snapshot");
    this.#active = active < 0 ? 1 : active;
  }

  #replay(bytes: Buffer, snapshot: Frame): number {
    let at = 0;
    for (let frame: Frame | undefined = snapshot; frame !== undefined; ) {
      for (const { incarnation, group } of frame.changes) {
        if (group === undefined) this.remove(incarnation);
        else this.put(group);
      }
      this.#sequence = frame.sequence;
      at += frame.lengthBytes;
      const next = readFrame(bytes, at);
      frame = next?.kind === FrameKind.Changes && next.sequence === this.#sequence + 1 ? next : undefined;
    }
    return at;
  }

  /** A valid frame that is newer than all that was replayed was once durable: what came before it is lost. */
  #refuseDamage(file: number, { bytes, from }: { bytes: Buffer; from: number }): void {
    for (let at = from; at + headerBytes <= bytes.length; at += headerBytes) {
      const frame = readFrame(bytes, at);
      if (frame !== undefined && frame.sequence > this.#sequence) {
        throw damaged(`${fileNames[file]} is damaged before byte ${at}`);
      }
    }
  }

  #count(group: GroupRecord, by: number): void {
    const key = `${group.log}/${group.generation}`;
    const count = (this.#perGroup.get(key) ?? 0) + by;
    if (count === 0) this.#perGroup.delete(key);
    else this.#perGroup.set(key, count);
  }
}

function fileBytes(recordsMax: number): number {
  return frameBytes(recordsMax) + Math.max(changesBytesMin, changesPerSnapshot * frameBytes(recordsMax));
}

function damaged(what: string): NexusError {
  return new NexusError(
    "CORRUPT",
    `The witness's records were damaged: ${what}. Votes may be forgotten, so it does not start. Give it an empty disk and replace it as a witness of its groups.`,
  );
}
