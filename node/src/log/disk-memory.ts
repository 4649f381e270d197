import { assert } from "../base/assert.ts";
import type { Random } from "../base/clock.ts";
import { NexusError } from "../base/errors.ts";
import type { Disk, DiskFile } from "./disk.ts";

/** Bytes that a real disk writes all or not at all. */
const sectorBytes = 512;

export interface MemoryDiskSettings {
  /** Called once per operation; `done` completes it, any time later. Default: in the next microtask. */
  schedule?: (done: () => void, operation: { kind: "read" | "write" | "create" | "remove"; sizeBytes: number }) => void;
  /** Sum of the sizes of all files that fits. Default: no limit. */
  capacityBytes?: number;
}

interface Pending {
  name: string;
  offset: number;
  bytes: Uint8Array;
}

/** A disk for tests and the simulator: latency, stalls, lost and torn writes at a crash, flipped bits, no space. */
export class MemoryDisk implements Disk {
  /** What survives a crash. */
  readonly files: Map<string, Uint8Array>;
  /** Every write fails with INTERNAL while set: an I/O error of the device. */
  failWrites = false;
  capacityBytes: number;
  readonly #schedule: NonNullable<MemoryDiskSettings["schedule"]>;
  /** After a crash nothing completes any more and nothing changes the files. */
  #dead = false;
  #stalled: (() => void)[] | undefined;
  readonly #pending = new Set<Pending>();

  constructor(settings: MemoryDiskSettings = {}, files = new Map<string, Uint8Array>()) {
    this.files = files;
    this.#schedule = settings.schedule ?? ((done) => queueMicrotask(done));
    this.capacityBytes = settings.capacityBytes ?? Number.MAX_SAFE_INTEGER;
  }

  /** Operations begun from now on wait for `resume`. */
  stall(): void {
    this.#stalled ??= [];
  }
  resume(): void {
    const waiting = this.#stalled ?? [];
    this.#stalled = undefined;
    for (const begin of waiting) begin();
  }

  /**
   * Power loss: what is in flight never completes, and of each such write any set of sectors, the last one cut at any
   * byte, may be there. Returns the disk as the next life finds it; this one and its files are dead, so that whatever
   * still runs of the old process harms nothing.
   */
  crash(random: Random): MemoryDisk {
    for (const { name, offset, bytes } of this.#pending) {
      const file = this.files.get(name);
      if (file === undefined) continue;
      const style = random.unit();
      if (style < 0.25) continue;
      if (style < 0.4) file.set(bytes, offset);
      else if (style < 0.7) file.set(bytes.subarray(0, Math.floor(random.unit() * (bytes.length + 1))), offset);
      else writeSomeSectors(file, { offset, bytes, random });
    }
    this.#pending.clear();
    this.#stalled = undefined;
    this.#dead = true;
    return new MemoryDisk({ schedule: this.#schedule, capacityBytes: this.capacityBytes }, this.files);
  }

  flipBit(name: string, offset: number, bit: number): void {
    const file = this.files.get(name);
    assert(file !== undefined && offset < file.length, "the flipped byte exists");
    file[offset] = file[offset]! ^ (1 << bit);
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()];
  }

  async open(name: string, options: { createBytes?: number } = {}): Promise<DiskFile> {
    const { createBytes } = options;
    if (this.#dead) return new Promise(() => {});
    if (createBytes !== undefined) {
      await this.operate("create", createBytes);
      if (this.#dead) return new Promise(() => {});
      if (this.#freeBut(name) < createBytes) {
        this.files.delete(name);
        throw new NexusError("DISK_FULL", `Disk: create ${name} failed: no space left.`);
      }
      this.files.set(name, new Uint8Array(createBytes));
    }
    const file = this.files.get(name);
    if (file === undefined) throw new NexusError("NOT_FOUND", `Disk: open ${name} failed: no such file.`);
    return new MemoryFile(this, name, file);
  }

  async remove(name: string): Promise<void> {
    await this.operate("remove", 0);
    if (!this.#dead) this.files.delete(name);
  }

  async freeBytes(): Promise<number> {
    return this.#freeBut("");
  }

  #freeBut(name: string): number {
    let used = 0;
    for (const [other, bytes] of this.files) if (other !== name) used += bytes.length;
    return this.capacityBytes - used;
  }

  /** Resolves when the schedule lets the operation be done; never after a crash. */
  operate(kind: "read" | "write" | "create" | "remove", sizeBytes: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#dead) return;
      const begin = () =>
        this.#schedule(
          () => {
            if (!this.#dead) resolve();
          },
          { kind, sizeBytes },
        );
      if (this.#stalled) this.#stalled.push(begin);
      else begin();
    });
  }

  async write(pending: Pending): Promise<void> {
    if (this.#dead) return new Promise(() => {});
    this.#pending.add(pending);
    await this.operate("write", pending.bytes.length);
    if (!this.#pending.delete(pending)) return new Promise(() => {});
    if (this.failWrites) throw new NexusError("INTERNAL", `Disk: write ${pending.name} failed: input/output error.`);
    this.files.get(pending.name)?.set(pending.bytes, pending.offset);
  }
}

function writeSomeSectors(file: Uint8Array, write: { offset: number; bytes: Uint8Array; random: Random }): void {
  const { offset, bytes, random } = write;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + sectorBytes - ((offset + at) % sectorBytes));
    if (random.unit() < 0.5) file.set(bytes.subarray(at, end), offset + at);
    at = end;
  }
}

class MemoryFile implements DiskFile {
  readonly sizeBytes: number;
  readonly #disk: MemoryDisk;
  readonly #name: string;
  readonly #bytes: Uint8Array;

  constructor(disk: MemoryDisk, name: string, bytes: Uint8Array) {
    this.#disk = disk;
    this.#name = name;
    this.#bytes = bytes;
    this.sizeBytes = bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    await this.#disk.operate("read", length);
    return this.#bytes.slice(offset, offset + length);
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    assert(offset + bytes.length <= this.sizeBytes, "a write stays within the preallocated file");
    return this.#disk.write({ name: this.#name, offset, bytes });
  }

  async close(): Promise<void> {}
}
