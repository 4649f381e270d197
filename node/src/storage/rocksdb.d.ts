// The part of @nxtedition/rocksdb that is used here; the package has no types. Underscored methods are its synchronous
// inner layer: they take and return buffers and skip abstract-level's encodings and deferral.

declare module "@nxtedition/rocksdb" {
  export interface RangeOptions {
    gte?: Buffer;
    lt?: Buffer;
    limit?: number;
    reverse?: boolean;
    keyEncoding?: "buffer";
    valueEncoding?: "buffer";
    values?: boolean;
    fillCache?: boolean;
    highWaterMarkBytes?: number;
  }
  /** Keys and values in turn. */
  export interface Rows {
    rows: Buffer[];
    finished: boolean;
  }
  export interface SyncIterator {
    _nextvSync(size: number, options?: object): Rows;
    /** The next rows begin with the first key at or after it. */
    _seekSync(target: Buffer): void;
    _closeSync(): void;
  }
  export interface SyncBatch {
    _put(key: Buffer, value: Buffer): void;
    _del(key: Buffer): void;
    _clear(): void;
    _writeSync(options?: { sync?: boolean }): void;
    _closeSync(): void;
  }
  export class RocksLevel {
    constructor(location: string, options?: { keyEncoding?: "buffer"; valueEncoding?: "buffer" });
    open(options?: {
      createIfMissing?: boolean;
      walCompression?: boolean;
      compaction?: "level" | "universal";
      optimize?: "point-lookup";
      filterPolicy?: string;
      memtableMemoryBudget?: number;
      cacheSize?: number;
      parallelism?: number;
    }): Promise<void>;
    close(): Promise<void>;
    getProperty(name: string): string;
    querySync(options: RangeOptions): Rows;
    /** null for a key whose read was cut off, undefined for an absent one. */
    _getManySync(keys: Buffer[], options?: object): (Buffer | undefined | null)[];
    _iterator(options: RangeOptions): SyncIterator;
    _chainedBatch(): SyncBatch;
    /** Without a limit one range tombstone. */
    _clear(options: RangeOptions, callback: (error: Error | null) => void): void;
    attachResource(resource: unknown): void;
    detachResource(resource: unknown): void;
  }
}
