// Raft entries and hard state of all groups of a box, durable.
//
// Why not RocksDB: its synced write runs on the JS thread, so that a slow disk stops heartbeats; one flipped byte in its
// WAL silently drops every later record, votes and acknowledged entries among them; after a full disk it stays broken
// (docs/decisions). Why not a file a group: a turn of the host writes for hundreds of groups and may pay for one flush.
//
// The sketch: preallocated segments, one frame a write for whatever all groups asked meanwhile, encoded once into the
// bytes that go to the disk. One write is in flight; what comes meanwhile fills the next frame. Frames are chained by
// checksum and say up to where the log was durable, so that a damaged frame is told from a torn tail (format.ts). An
// index in memory knows which segments still hold live data (group-index.ts); the oldest is removed when none is left,
// and little of it is copied to the head (relocate.ts). The entries themselves live in the raft core's memory.

import { assert } from "../base/assert.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import type { Disk } from "./disk.ts";
import { frameHeaderBytes, logFormatVersion, segmentHeaderBytes } from "./format.ts";
import { FrameBuffer, sizeOf } from "./frame-buffer.ts";
import type { GroupIndexes } from "./group-index.ts";
import { piecesOf } from "./pieces.ts";
import type { LogWrite } from "./records.ts";
import { recover } from "./recover.ts";
import { Relocation } from "./relocate.ts";
import type { RecoveredGroup } from "./replay.ts";
import { Segments } from "./segments.ts";

export interface LogSettings {
  /** Size of a segment file. Larger: fewer files, slower start and reclamation. */
  segmentBytes: number;
  /** A frame is closed above this; a larger single append makes a frame of its own. */
  frameBytesMax: number;
  /** Appends are refused with OVERLOADED while more than this waits for the disk. */
  backlogBytesMax: number;
  /** Reclamation copies live data of the oldest segment once there are more segments than this, ... */
  segmentsBeforeRelocation: number;
  /** ... if at most this share of it is alive. More is waited for: it is being compacted, or held for a reason. */
  relocationShareMax: number;
  /** Bytes that one step of relocation writes between two writes of the box. */
  relocationStepBytes: number;
  /** 32 random bits that stay with the disk (from the box incarnation): content of clients cannot pose as a frame. */
  salt: number;
}

const defaultLogSettings: LogSettings = {
  segmentBytes: 64 << 20,
  frameBytesMax: 4 << 20,
  backlogBytesMax: 64 << 20,
  segmentsBeforeRelocation: 4,
  relocationShareMax: 0.25,
  relocationStepBytes: 256 << 10,
  salt: 0,
};

export interface OpenedLog {
  log: SegmentLog;
  /** By `groupKey(group, generation)`. */
  groups: Map<number, RecoveredGroup>;
  /** Acknowledged data of unknown groups was lost: a group that is not in `groups` but known elsewhere is corrupt too. */
  corrupt: string | undefined;
}

export class SegmentLog {
  readonly #settings: LogSettings;
  readonly #segments: Segments;
  readonly #indexes: GroupIndexes;
  /** Place after the last durable frame, its checksum, and whether the current segment has its header yet. */
  #offset: number;
  #crc: number;
  #opened = true;
  #previousEnd = 0;
  /** Frames that wait, oldest first; the last may still be filled. */
  #queue: FrameBuffer[] = [];
  #backlogBytes = 0;
  #spare: FrameBuffer | undefined;
  #pump: Promise<void> | undefined;
  #failure: NexusError | undefined;
  #closed = false;
  /** Checksum of the last empty frame. */
  #sealedCrc = -1;
  #relocation: Relocation | "planning" | undefined;
  /** Relocation found a segment that cannot be read back; the next start tells which groups lost what. */
  damage: string | undefined;

  private constructor(
    settings: LogSettings,
    parts: { segments: Segments; indexes: GroupIndexes; end: { offset: number; crc: number } },
  ) {
    this.#settings = settings;
    this.#segments = parts.segments;
    this.#indexes = parts.indexes;
    this.#offset = parts.end.offset;
    this.#crc = parts.end.crc;
  }

  /** Recovers what was acknowledged. Refuses a newer format with VERSION. */
  static async open(disk: Disk, settings: Partial<LogSettings> = {}): Promise<OpenedLog> {
    const all = { ...defaultLogSettings, ...settings };
    const { replay, end } = await recover(disk, all.salt);
    all.salt = end.salt;
    const groups = replay.finish();
    const segments = new Segments(disk, all.segmentBytes, { used: end.segments, current: end.tail?.file });
    const log = new SegmentLog(all, { segments, indexes: replay.indexes, end });
    segments.prepare();
    log.#reclaim();
    return { log, groups, corrupt: replay.unknowable?.reason };
  }

  /** Bytes that wait for the disk. Above `backlogBytesMax` appends are refused. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** Bytes of entries that are kept for a group, approximately. */
  bytesOf(group: number, generation: number): number {
    return this.#indexes.of(group, generation)?.bytes ?? 0;
  }

  /**
   * Makes all writes durable, in order with earlier appends, and together unless they are more than a segment holds
   * (pieces.ts). Rejects with OVERLOADED or, for an entry that fits no segment, TOO_LARGE and nothing is taken; with
   * DISK_FULL when there is no room for the next segment: then this append and all that were queued behind it are not
   * durable, and may be given again, in order; with INTERNAL after an I/O error: the log takes no more, the process must
   * end. The entries must not change until it resolves.
   */
  append(writes: readonly LogWrite[]): Promise<void> {
    const sizeBytes = sizeOf(writes);
    const pieces = sizeBytes <= this.#largest ? [writes] : piecesOf(writes, this.#largest);
    const refusal = this.#refusal(pieces, sizeBytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      for (const [i, piece] of pieces.entries()) {
        const bytes = sizeOf(piece);
        const frame = this.#fillable(bytes);
        frame.add(piece, bytes);
        this.#backlogBytes += bytes;
        // Whatever fails before it rejects what is behind: the last frame answers for all.
        if (i === pieces.length - 1) frame.waiters.push({ resolve, reject });
      }
      this.#run();
    });
  }

  /** Bytes of records that one frame can take. */
  get #largest(): number {
    return this.#settings.segmentBytes - segmentHeaderBytes - frameHeaderBytes - 8;
  }

  #refusal(pieces: readonly (readonly LogWrite[])[], sizeBytes: number): NexusError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    assert(!this.#closed, "a closed log takes no appends");
    const { backlogBytesMax } = this.#settings;
    const largest = this.#largest;
    const piece = pieces.map(sizeOf).find((bytes) => bytes > largest);
    if (piece !== undefined) {
      return new NexusError("TOO_LARGE", `An entry of ${piece} bytes does not fit a log segment: at most ${largest}.`);
    }
    if (this.#backlogBytes > 0 && this.#backlogBytes + sizeBytes > backlogBytesMax) {
      return new NexusError("OVERLOADED", `${this.#backlogBytes} bytes wait for the log's disk: retry later.`);
    }
    return undefined;
  }

  /** The frame that takes `sizeBytes` more. */
  #fillable(sizeBytes: number): FrameBuffer {
    const { frameBytesMax, segmentBytes } = this.#settings;
    const limit = Math.min(frameBytesMax, segmentBytes - segmentHeaderBytes - 8);
    const last = this.#queue.at(-1);
    if (last !== undefined && last.sizeBytes + sizeBytes <= limit) return last;
    const frame = this.#spare ?? new FrameBuffer(64 << 10);
    this.#spare = undefined;
    this.#queue.push(frame);
    return frame;
  }

  /**
   * Protects the last append against later damage: the last frame of a log cannot be told from a torn tail. Call it when
   * the box falls idle; does nothing when the last frame is such a seal.
   */
  async seal(): Promise<void> {
    if (this.#sealedCrc === this.#crc && this.#pump === undefined) return;
    await this.append([]);
  }

  /** Waits for what was appended, seals, closes the files. */
  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#failure === undefined) await this.seal().catch(() => {});
    this.#closed = true;
    await this.#pump;
    await this.#segments.close();
  }

  #run(): void {
    this.#pump ??= this.#loop().finally(() => {
      this.#pump = undefined;
      if (this.#queue.length > 0 || this.#relocation instanceof Relocation) this.#run();
    });
  }

  async #loop(): Promise<void> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) await this.#settle(frame);
      const moved = await this.#relocateStep();
      if (frame === undefined && !moved) return;
    }
  }

  /** Writes a frame and answers its waiters. False when it failed. */
  async #settle(frame: FrameBuffer): Promise<boolean> {
    const bytes = frame.recordBytes;
    try {
      await this.#write(frame);
    } catch (error) {
      this.#fail(frame, error);
      return false;
    }
    this.#backlogBytes -= bytes;
    const { records, waiters } = frame;
    if (records.length === 0) this.#sealedCrc = this.#crc;
    frame.clear();
    if (frame.capacityBytes <= this.#settings.frameBytesMax) this.#spare = frame;
    const segment = this.#segments.currentNumber;
    let freed = false;
    for (const record of records) {
      this.#indexes.apply(record, segment);
      freed ||= record.snapshotMeta !== undefined || record.removeGroup === true || record.reset === true;
    }
    if (freed) this.#reclaim();
    for (const waiter of waiters) waiter.resolve();
    return true;
  }

  /** Rejects the frame and all behind it. */
  #fail(frame: FrameBuffer, error: unknown): void {
    const isFull = error instanceof NexusError && error.code === "DISK_FULL";
    if (!isFull) {
      this.#failure = new NexusError("INTERNAL", `The log cannot be written: ${messageOf(error)}`, { cause: error });
    }
    const failed = [frame, ...this.#queue];
    this.#queue = [];
    this.#backlogBytes = 0;
    for (const { waiters } of failed) for (const waiter of waiters) waiter.reject(this.#failure ?? error);
  }

  async #write(frame: FrameBuffer): Promise<void> {
    const { salt, segmentBytes } = this.#settings;
    if (this.#offset + frame.sizeBytes > this.#segments.sizeBytes) {
      assert(frame.sizeBytes + segmentHeaderBytes <= segmentBytes, "a frame fits a segment");
      const end = this.#offset;
      await this.#segments.advance();
      if (this.#opened) this.#previousEnd = end;
      this.#opened = false;
      this.#offset = segmentHeaderBytes;
    }
    const segment = this.#segments.currentNumber;
    const opens = this.#opened
      ? undefined
      : { version: logFormatVersion, segment, salt, previousCrc: this.#crc, previousEnd: this.#previousEnd };
    const place = { segment, offset: this.#offset };
    const synced = this.#opened ? place : { segment: segment - 1, offset: this.#previousEnd };
    const { crc, bytes } = frame.seal({ previousCrc: this.#crc, place, synced, salt }, opens);
    await this.#segments.current.write(opens === undefined ? this.#offset : 0, bytes);
    if (opens !== undefined) this.#reclaim();
    this.#opened = true;
    this.#offset += frame.sizeBytes;
    this.#crc = crc;
  }

  /** Removes segments that nobody needs; plans to relocate what little holds back the oldest. */
  #reclaim(): void {
    const { segmentsBeforeRelocation, relocationShareMax, segmentBytes } = this.#settings;
    this.#segments.removeBefore(this.#indexes.oldestSegment);
    const oldest = this.#segments.used[0];
    if (oldest === undefined || this.#segments.used.length <= segmentsBeforeRelocation) return;
    if (this.#relocation !== undefined || this.damage !== undefined) return;
    let liveBytes = 0;
    for (const index of this.#indexes.all.values()) {
      if (index.corruptSegment > 0 && index.corruptSegment <= oldest) return;
      for (const run of index.runs) if (run.segment === oldest) liveBytes += run.bytes;
    }
    if (liveBytes <= segmentBytes * relocationShareMax) void this.#planRelocation(oldest);
  }

  #isHeld(segment: number): boolean {
    for (const index of this.#indexes.all.values()) if (index.oldestSegment <= segment) return true;
    return false;
  }

  async #planRelocation(segment: number): Promise<void> {
    this.#relocation = "planning";
    try {
      const { file, endOffset } = await this.#segments.openOldest();
      const options = { segment, endOffset, stepBytes: this.#settings.relocationStepBytes };
      this.#relocation = await Relocation.plan(this.#indexes, file, options).finally(() => file.close());
      this.#run();
    } catch (error) {
      this.damage = messageOf(error);
      this.#relocation = undefined;
    }
  }

  /** True when it wrote something or there may be more to do. */
  async #relocateStep(): Promise<boolean> {
    if (!(this.#relocation instanceof Relocation)) return false;
    if (this.#failure !== undefined || this.#closed) {
      this.#relocation = undefined;
      return false;
    }
    const records = this.#relocation.next();
    if (records === undefined) {
      assert(!this.#isHeld(this.#relocation.segment), "a relocated segment holds nothing that is alive");
      this.#relocation = undefined;
      this.#reclaim();
      return true;
    }
    if (records.length === 0) return true;
    const frame = new FrameBuffer(64 << 10);
    frame.add(records, sizeOf(records));
    this.#backlogBytes += frame.recordBytes;
    if (await this.#settle(frame)) return true;
    this.#relocation = undefined;
    return false;
  }
}
