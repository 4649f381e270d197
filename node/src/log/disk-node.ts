import {
  constants,
  fstat,
  fsync,
  mkdirSync,
  close as nodeClose,
  open as nodeOpen,
  read as nodeRead,
  write as nodeWrite,
} from "node:fs";
import { open as openHandle, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { assert } from "../base/assert.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import type { Disk, DiskFile } from "./disk.ts";

const readAt = promisify(nodeRead);
const openFile = promisify(nodeOpen);
const statFile = promisify(fstat);
const closeFile = promisify(nodeClose);
const syncFile = promisify(fsync);
const zeroes = new Uint8Array(1 << 20);

/** A folder of the real file system. Writes go through libuv's thread pool with O_DSYNC: the event loop never waits. */
export class NodeDisk implements Disk {
  readonly #folder: string;

  /** Makes the folder. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  async list(): Promise<string[]> {
    const entries = await this.#guard("list", () => readdir(this.#folder, { withFileTypes: true }));
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  }

  async open(name: string, options: { createBytes?: number } = {}): Promise<DiskFile> {
    const path = join(this.#folder, name);
    if (options.createBytes !== undefined) await this.#create(path, options.createBytes);
    return this.#guard(`open ${name}`, async () => {
      const fd = await openFile(path, constants.O_RDWR | constants.O_DSYNC);
      try {
        await syncFile(fd);
        const { size } = await statFile(fd);
        return new NodeFile(name, fd, size);
      } catch (error) {
        await closeFile(fd);
        throw error;
      }
    });
  }

  async #create(path: string, sizeBytes: number): Promise<void> {
    try {
      await this.#guard(`create ${path}`, async () => {
        const handle = await openHandle(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC);
        try {
          for (let at = 0; at < sizeBytes; at += zeroes.length) {
            await writeAll(handle.fd, zeroes.subarray(0, Math.min(zeroes.length, sizeBytes - at)), at);
          }
          await handle.sync();
        } finally {
          await handle.close();
        }
        await this.#syncFolder();
      });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#guard(`remove ${name}`, async () => {
      await rm(join(this.#folder, name), { force: true });
      await this.#syncFolder();
    });
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await this.#guard("statfs", () => statfs(this.#folder));
    return bavail * bsize;
  }

  async #syncFolder(): Promise<void> {
    const handle = await openHandle(this.#folder, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #guard<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw diskError(what, error);
    }
  }
}

/** Hot-path file on a bare descriptor: one callback a write instead of FileHandle's promise chain. */
class NodeFile implements DiskFile {
  readonly sizeBytes: number;
  readonly #name: string;
  readonly #fd: number;
  #closed = false;

  constructor(name: string, fd: number, sizeBytes: number) {
    this.#name = name;
    this.#fd = fd;
    this.sizeBytes = sizeBytes;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(Math.max(0, Math.min(length, this.sizeBytes - offset)));
    let filled = 0;
    while (filled < out.length) {
      const { bytesRead } = await readAt(this.#fd, out, filled, out.length - filled, offset + filled).catch((error) => {
        throw diskError(`read ${this.#name}`, error);
      });
      if (bytesRead === 0) return out.subarray(0, filled);
      filled += bytesRead;
    }
    return out;
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    assert(offset + bytes.length <= this.sizeBytes, "a write stays within the preallocated file");
    return writeAll(this.#fd, bytes, offset).catch((error) => {
      throw diskError(`write ${this.#name}`, error);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await closeFile(this.#fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = 0;
    const next = () => {
      nodeWrite(fd, bytes, done, bytes.length - done, offset + done, (error, written) => {
        if (error) return reject(error);
        done += written;
        if (done < bytes.length) next();
        else resolve();
      });
    };
    next();
  });
}

/** ENOSPC and EDQUOT become DISK_FULL, ENOENT NOT_FOUND, all else INTERNAL with the cause kept. */
function diskError(what: string, error: unknown): NexusError {
  if (error instanceof NexusError) return error;
  const code = (error as NodeJS.ErrnoException)?.code;
  const kind =
    code === "ENOSPC" || code === "EDQUOT" ? "DISK_FULL" : code === "ENOENT" ? "NOT_FOUND" : ("INTERNAL" as const);
  return new NexusError(kind, `Disk: ${what} failed: ${messageOf(error)}`, { cause: error });
}
