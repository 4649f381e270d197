import { mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { MapFile } from "./ports.ts";

/** The last known map in one file, replaced in one step. A damaged or missing file counts as none: peers have the map. */
export class DiskMapFile implements MapFile {
  readonly #path: string;
  readonly #failed: (error: unknown) => void;
  #next: Uint8Array | undefined;
  #writing = false;

  constructor(path: string, failed: (error: unknown) => void) {
    this.#path = path;
    this.#failed = failed;
    mkdirSync(dirname(path), { recursive: true });
  }

  load(): Uint8Array | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path);
    } catch {
      return undefined;
    }
    if (bytes.length < 4) return undefined;
    const content = bytes.subarray(4);
    return bytes.readUInt32BE(0) === crc32(content) ? content : undefined;
  }

  save(bytes: Uint8Array): void {
    this.#next = bytes;
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let bytes = this.#next; bytes !== undefined; bytes = this.#next) {
      this.#next = undefined;
      try {
        await this.#replace(bytes);
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#writing = false;
  }

  async #replace(bytes: Uint8Array): Promise<void> {
    const aside = `${this.#path}.new`;
    const file = await open(aside, "w", 0o600);
    try {
      const head = Buffer.allocUnsafe(4);
      head.writeUInt32BE(crc32(bytes));
      await file.writeFile(Buffer.concat([head, bytes]));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, this.#path);
  }
}
