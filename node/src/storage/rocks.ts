import { constants } from "node:fs";
import { mkdir, open as openFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { RangeOptions, RocksLevel, SyncBatch } from "@nxtedition/rocksdb";
import { assert } from "../base/assert.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import type { ScanRange, StateKey, StatePair, StateWrite } from "../machine/store.ts";
import type { DurableStore, FrozenStore, WritePart } from "./durable-store.ts";
import { FrozenRows } from "./frozen-rows.ts";
import { absent, ValueCache } from "./value-cache.ts";

export interface RocksSettings {
  /** Block cache of RocksDB. */
  blockCacheBytes: number;
  /** All memtables together. More: fewer flushes, longer start. */
  memtableBytes: number;
  /** Values kept on the JS side: a hit costs a lookup instead of several microseconds in RocksDB. */
  valueCacheBytes: number;
}
const defaultRocksSettings: RocksSettings = {
  blockCacheBytes: 64 << 20,
  memtableBytes: 64 << 20,
  valueCacheBytes: 32 << 20,
};

const checksumBytes = 4;
/** Keys and sealed values up to this size are laid out in the same place again and again. */
const scratchBytes = 64 * 1024;
/** Views of the scratches up to this length are made once each: a view costs as much as what it is made for. */
const viewedBytes = 1024;
const noOptions = {};
/** Scans up to this many rows are read at once; longer ones page by page over a RocksDB snapshot. */
const rowsAtOnce = 256;

/**
 * Sorted keys in RocksDB, every value followed by its CRC-32. Writes are not synced: they survive the process, and a
 * power cut only after `flush`. A failed checksum throws CORRUPT; whoever owns the key names itself and re-replicates.
 */
export class RocksStore implements DurableStore {
  readonly #db: RocksLevel;
  readonly #folder: string;
  readonly #batch: SyncBatch;
  readonly #cache: ValueCache;
  readonly #keyScratch = Buffer.allocUnsafeSlow(scratchBytes);
  /** Stands at the start of the scratch. */
  #scratchPrefix: StateKey = "";
  readonly #valueScratch = Buffer.allocUnsafeSlow(scratchBytes);
  readonly #keyViews: (Buffer | undefined)[] = new Array(viewedBytes).fill(undefined);
  readonly #valueViews: (Buffer | undefined)[] = new Array(viewedBytes).fill(undefined);

  private constructor(db: RocksLevel, folder: string, settings: RocksSettings) {
    this.#db = db;
    this.#folder = folder;
    this.#batch = db._chainedBatch();
    this.#cache = new ValueCache(settings.valueCacheBytes);
  }

  static async open(folder: string, settings: Partial<RocksSettings> = {}): Promise<RocksStore> {
    const all = { ...defaultRocksSettings, ...settings };
    const { RocksLevel } = await import("@nxtedition/rocksdb").catch((error) => {
      const platform = `${process.platform}-${process.arch}`;
      throw new NexusError(
        "INTERNAL",
        `RocksDB has no build for ${platform}: use linux-x64, darwin-arm64 or an image.`,
        {
          cause: error,
        },
      );
    });
    await mkdir(folder, { recursive: true });
    const db = new RocksLevel(folder, { keyEncoding: "buffer", valueEncoding: "buffer" });
    try {
      await db.open({
        createIfMissing: true,
        walCompression: false,
        compaction: "level",
        // Keys that are not there are told by a filter, in memtables too.
        optimize: "point-lookup",
        filterPolicy: "bloomfilter:10",
        memtableMemoryBudget: all.memtableBytes,
        cacheSize: all.blockCacheBytes,
      });
    } catch (error) {
      const cause = (error as { cause?: unknown }).cause ?? error;
      throw new NexusError("INTERNAL", `The state in ${folder} cannot be opened: ${messageOf(cause)}`, {
        cause: error,
      });
    }
    return new RocksStore(db, folder, all);
  }

  get(key: StateKey): Uint8Array | undefined {
    return this.getIn("", key);
  }

  getIn(prefix: StateKey, key: StateKey): Uint8Array | undefined {
    const cached = this.#cache.get(prefix, key);
    if (cached !== undefined) return cached === absent ? undefined : cached;
    const stored = this.#db._getManySync([bytesOf(prefix + key)], noOptions)[0];
    if (stored === undefined) {
      this.#cache.set(prefix, key, absent);
      return undefined;
    }
    const value = checked(prefix + key, stored);
    this.#cache.set(prefix, key, value);
    return value;
  }

  keys(range: ScanRange): StateKey[] {
    const options = rangeOptions(range);
    if (options === undefined) return [];
    const { rows } = this.#db.querySync({ ...options, values: false });
    return rows.filter((_, i) => i % 2 === 0).map((row) => row.toString("latin1"));
  }

  scan(range: ScanRange): Iterable<StatePair> {
    const options = rangeOptions(range);
    if (options === undefined) return [];
    const { limit } = range;
    if (limit !== undefined && limit <= rowsAtOnce) return pairs(this.#db.querySync(options).rows);
    return this.#longScan(options);
  }

  freeze(range: { from: StateKey; to: StateKey }): FrozenStore {
    const options = rangeOptions(range);
    assert(options !== undefined, "a range that is frozen is not empty by itself");
    const iterator = this.#db._iterator(options);
    const close = () => {
      iterator._closeSync();
      this.#db.detachResource(iterator);
    };
    return new FrozenRows({ iterator, close, bytesOf, pairs });
  }

  #longScan(options: RangeOptions): Iterable<StatePair> {
    const iterator = this.#db._iterator(options);
    const close = () => {
      iterator._closeSync();
      this.#db.detachResource(iterator);
    };
    const first = iterator._nextvSync(rowsAtOnce);
    if (first.finished) {
      close();
      return pairs(first.rows);
    }
    return (function* () {
      try {
        for (let page = first; ; page = iterator._nextvSync(rowsAtOnce)) {
          yield* pairs(page.rows);
          if (page.finished) return;
        }
      } finally {
        close();
      }
    })();
  }

  write(batch: readonly StateWrite[]): void {
    this.writeAll([{ prefix: "", writes: batch }]);
  }

  writeAll(parts: readonly WritePart[]): void {
    try {
      for (const { prefix, writes } of parts) {
        for (const { key, value, to } of writes) {
          if (to !== undefined) continue;
          if (value === undefined) this.#batch._del(this.#keyBytes(prefix, key));
          else this.#batch._put(this.#keyBytes(prefix, key), this.#sealed(value));
        }
      }
      this.#batch._writeSync(noOptions);
    } catch (error) {
      this.#cache.clear();
      throw new NexusError("INTERNAL", `RocksDB refused a write: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#batch._clear();
    }
    for (const part of parts) this.#written(part);
  }

  /** The cache follows; cuts come last. */
  #written({ prefix, writes }: WritePart): void {
    for (const { key, value, to } of writes) {
      if (to !== undefined) this.#cut(prefix, key, to);
      else this.#cache.refresh(prefix, key, value ?? absent);
    }
  }

  #cut(prefix: StateKey, from: StateKey, to: StateKey): void {
    this.#cache.cut(prefix, from, to);
    this.#clear(prefix + from, prefix + to);
  }

  /** Valid until the next call, like the bytes of `#sealed`: the batch copies what it is given. */
  #keyBytes(prefix: StateKey, key: StateKey): Buffer {
    const length = prefix.length + key.length;
    if (length > this.#keyScratch.length) return bytesOf(prefix + key);
    if (prefix !== this.#scratchPrefix) {
      this.#keyScratch.write(prefix, 0, "latin1");
      this.#scratchPrefix = prefix;
    }
    this.#keyScratch.write(key, prefix.length, "latin1");
    return viewOf(this.#keyScratch, this.#keyViews, length);
  }

  /** The value followed by its checksum. */
  #sealed(value: Uint8Array): Buffer {
    const { length } = value;
    const size = length + checksumBytes;
    const isLarge = size > this.#valueScratch.length;
    const out = isLarge ? Buffer.allocUnsafe(size) : viewOf(this.#valueScratch, this.#valueViews, size);
    out.set(value, 0);
    const sum = crc32(value);
    out[length] = sum;
    out[length + 1] = sum >>> 8;
    out[length + 2] = sum >>> 16;
    out[length + 3] = sum >>> 24;
    return out;
  }

  /** Rows behind a damaged block stay. */
  deleteRange(from: StateKey, to: StateKey): void {
    this.#cache.clear();
    this.#clear(from, to);
  }

  #clear(from: StateKey, to: StateKey): void {
    this.#db._clear({ gte: bytesOf(from), lt: bytesOf(to) }, (error) => {
      if (error && !error.message.startsWith("Corruption:"))
        throw new NexusError("INTERNAL", `RocksDB refused a deletion: ${error.message}`, { cause: error });
    });
  }

  /**
   * RocksDB syncs on the JS thread only, so the files of its write-ahead log are synced here, by the thread pool; one
   * that is gone meanwhile went into synced tables.
   */
  async flush(): Promise<void> {
    for (const name of await readdir(this.#folder)) if (name.endsWith(".log")) await syncFile(join(this.#folder, name));
    await syncFile(this.#folder);
  }

  get backgroundErrors(): number {
    return Number(this.#db.getProperty("rocksdb.background-errors"));
  }

  async close(): Promise<void> {
    this.#batch._closeSync();
    this.#db.detachResource(this.#batch);
    await this.#db.close();
  }
}

/** The first `length` bytes of a scratch. */
function viewOf(scratch: Buffer, views: (Buffer | undefined)[], length: number): Buffer {
  if (length >= viewedBytes) return scratch.subarray(0, length);
  let view = views[length];
  if (view === undefined) {
    view = scratch.subarray(0, length);
    views[length] = view;
  }
  return view;
}

/** Undefined for a range that is empty by itself. */
function rangeOptions({ from, to, limit, reverse = false }: ScanRange): RangeOptions | undefined {
  if ((limit !== undefined && limit <= 0) || (to !== undefined && to <= from)) return undefined;
  const options: RangeOptions = { gte: bytesOf(from), reverse, keyEncoding: "buffer", valueEncoding: "buffer" };
  if (to !== undefined) options.lt = bytesOf(to);
  if (limit !== undefined) options.limit = limit;
  return options;
}

async function syncFile(path: string): Promise<void> {
  const handle = await openFile(path, constants.O_RDONLY).catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

function bytesOf(key: StateKey): Buffer {
  return Buffer.from(key, "latin1");
}

function checked(key: StateKey, stored: Buffer | null): Uint8Array {
  const length = stored === null ? -1 : stored.length - checksumBytes;
  if (stored !== null && length >= 0) {
    const value = stored.subarray(0, length);
    if (crc32(value) === stored.readUInt32LE(length)) return value;
  }
  throw new NexusError("CORRUPT", `The value at key ${Buffer.from(key, "latin1").toString("hex")} fails its checksum.`);
}

function pairs(rows: readonly Buffer[]): StatePair[] {
  const out: StatePair[] = [];
  for (let i = 0; i + 1 < rows.length; i += 2) {
    const key = rows[i]!.toString("latin1");
    out.push({ key, value: checked(key, rows[i + 1]!) });
  }
  return out;
}
