// The drivers below the box, counted: disk of the log, chunk store, chunk transfer.

import type { Clock } from "../base/clock.ts";
import { NexusError } from "../base/errors.ts";
import type { BlobInfo, BlobStore, ChunkProof } from "../blobs/blob-store.ts";
import type { Disk, DiskFile } from "../log/disk.ts";
import type { Count } from "../telemetry/counts.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { BulkServer } from "../transport/ports.ts";
import type { ChunkTransfer } from "./ports.ts";

/** A disk whose writes are timed. */
export class MeteredDisk implements Disk {
  readonly #disk: Disk;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  /** Durable writes begun so far. */
  writes = 0;

  constructor(disk: Disk, metrics: Metrics, clock: Clock) {
    this.#disk = disk;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  list(): Promise<string[]> {
    return this.#disk.list();
  }
  remove(name: string): Promise<void> {
    return this.#disk.remove(name);
  }
  freeBytes(): Promise<number> {
    return this.#disk.freeBytes();
  }

  async open(name: string, options?: { createBytes?: number }): Promise<DiskFile> {
    const file = await this.#disk.open(name, options);
    const seconds = this.#metrics.fsync.of();
    const sizes = this.#metrics.logBatchBytes.of();
    return {
      sizeBytes: file.sizeBytes,
      read: (offset, length) => file.read(offset, length),
      close: () => file.close(),
      write: async (offset, bytes) => {
        this.writes++;
        const startedMs = this.#clock.now();
        await file.write(offset, bytes);
        seconds.observe((this.#clock.now() - startedMs) / 1000);
        sizes.observe(bytes.length);
      },
    };
  }
}

/** A chunk store whose bytes and damage are counted. */
export class MeteredBlobs implements BlobStore {
  readonly #blobs: BlobStore;
  readonly #read: Count;
  readonly #written: Count;
  readonly #corrupt: Count;

  constructor(blobs: BlobStore, metrics: Metrics) {
    this.#blobs = blobs;
    this.#read = metrics.chunkBytes.of("read");
    this.#written = metrics.chunkBytes.of("written");
    this.#corrupt = metrics.corrupt.of("chunks");
  }

  has(address: Uint8Array): boolean {
    return this.#blobs.has(address);
  }
  async put(address: Uint8Array, bytes: Uint8Array, proof?: ChunkProof): Promise<void> {
    await this.#blobs.put(address, bytes, proof);
    this.#written.inc(bytes.length);
  }
  async get(address: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#blobs.get(address);
      this.#read.inc(bytes?.length ?? 0);
      return bytes;
    } catch (error) {
      if (error instanceof NexusError && error.code === "CORRUPT") this.#corrupt.inc();
      throw error;
    }
  }
  delete(address: Uint8Array): Promise<void> {
    return this.#blobs.delete(address);
  }
  collect(info: BlobInfo, isOrphan: () => boolean): Promise<boolean> {
    return this.#blobs.collect(info, isOrphan);
  }
  list(): AsyncIterable<BlobInfo> {
    return this.#blobs.list();
  }
}

export function meteredTransfer(transfer: ChunkTransfer, metrics: Metrics): ChunkTransfer {
  const sent = metrics.chunkBytes.of("sent");
  const received = metrics.chunkBytes.of("received");
  return {
    async putChunk(box, chunk, options) {
      const refused = await transfer.putChunk(box, chunk, options);
      if (refused === undefined) sent.inc(options.data.length);
      return refused;
    },
    async getChunk(box, chunk, options) {
      const answer = await transfer.getChunk(box, chunk, options);
      if (answer.kind === "data") received.inc(answer.data.length);
      return answer;
    },
  };
}

export function meteredBulk(server: BulkServer, metrics: Metrics): BulkServer {
  const sent = metrics.chunkBytes.of("sent");
  const received = metrics.chunkBytes.of("received");
  return {
    snapshot: (from, start, data) => server.snapshot(from, start, data),
    async putChunk(from, chunk, data) {
      received.inc(data.length);
      return server.putChunk(from, chunk, data);
    },
    async getChunk(from, chunk) {
      const data = await server.getChunk(from, chunk);
      sent.inc(data?.length ?? 0);
      return data;
    },
  };
}
