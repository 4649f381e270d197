import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, utimes } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes, fromHex, hexOf } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { type ErrorCode, messageOf, NexusError } from "../base/errors.ts";
import { addressBytes } from "../machine/chunks.ts";
import { addressOf, type BlobInfo, type BlobStore, blobKey, type ChunkProof, checkChunk } from "./blob-store.ts";
import { DiskTurns } from "./disk-turns.ts";
import { FolderSync } from "./folder-sync.ts";
import { Placing } from "./placing.ts";

/** Damaged chunks kept for whoever looks into it, the newest; a disk that rots must not fill itself with them. */
export const quarantinedMax = 64;

/**
 * Chunks as files: `ab/cd/<address in hex>` by the first bytes of the digest. A chunk is written aside and synced,
 * then put in its place together with others (placing.ts). A damaged one moves to `quarantine/`, which keeps the newest.
 */
export class LocalBlobs implements BlobStore {
  readonly #folder: string;
  readonly #clock: Pick<Clock, "wallMs">;
  readonly #present: Set<string>;
  readonly #disk = new DiskTurns();
  readonly #sync = new FolderSync(this.#disk);
  readonly #placing: Placing;
  /** One change an address at a time: a deletion must not remove what a put behind it has just renamed into place. */
  readonly #changing = new Map<string, Promise<void>>();
  #sequence = 0;

  private constructor(folder: string, clock: Pick<Clock, "wallMs">, present: Set<string>) {
    this.#folder = folder;
    this.#clock = clock;
    this.#present = present;
    this.#placing = new Placing(folder, { sync: this.#sync, disk: this.#disk });
  }

  /**
   * Reads all names into memory; drops what was being written when the last life ended. Syncs the folders: a name that a
   * killed process had not yet synced counts as present from now on.
   */
  static async open(folder: string, clock: Pick<Clock, "wallMs">): Promise<LocalBlobs> {
    await rm(join(folder, "writing"), { recursive: true, force: true });
    await mkdir(join(folder, "writing"), { recursive: true });
    await mkdir(join(folder, "quarantine"), { recursive: true });
    const present = new Set<string>();
    const isPart = /^[0-9a-f]{2}$/;
    const store = new LocalBlobs(folder, clock, present);
    for (const first of (await readdir(folder)).filter((name) => isPart.test(name))) {
      for (const second of await readdir(join(folder, first))) {
        for (const name of await readdir(join(folder, first, second))) {
          const address = fromHex(name);
          if (address?.length === addressBytes) present.add(blobKey(address));
        }
        await store.#sync.sync(join(folder, first, second));
      }
      await store.#sync.sync(join(folder, first));
    }
    await store.#sync.sync(folder);
    return store;
  }

  has(address: Uint8Array): boolean {
    return this.#present.has(blobKey(address));
  }
  get count(): number {
    return this.#present.size;
  }

  async put(address: Uint8Array, bytes: Uint8Array, proof?: ChunkProof): Promise<void> {
    const key = blobKey(address);
    checkChunk(address, bytes, proof);
    await this.#change(key, async () => {
      if (this.#present.has(key)) await this.#renew(address);
      else await this.#store(address, bytes);
      this.#present.add(key);
    });
  }

  async #renew(address: Uint8Array): Promise<void> {
    const seconds = this.#clock.wallMs() / 1000;
    await utimes(this.#place(address).path, seconds, seconds);
  }

  async #store(address: Uint8Array, bytes: Uint8Array): Promise<void> {
    const aside = join(this.#folder, "writing", `${this.#sequence++}`);
    try {
      await this.#disk.run(() => this.#writeAside(aside, bytes));
      await this.#placing.place(aside, this.#place(address));
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }

  async #writeAside(aside: string, bytes: Uint8Array): Promise<void> {
    const file = await open(aside, "w");
    try {
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
      const seconds = this.#clock.wallMs() / 1000;
      await file.utimes(seconds, seconds);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async get(address: Uint8Array): Promise<Uint8Array | undefined> {
    const key = blobKey(address);
    if (!this.#present.has(key)) return undefined;
    const bytes = await guard("read a chunk", () => readFile(this.#place(address).path)).catch((error: NexusError) => {
      if (error.code === "NOT_FOUND") return undefined;
      throw error;
    });
    if (bytes !== undefined && equalBytes(addressOf(bytes), address)) return bytes;
    if (bytes === undefined && !this.#present.has(key)) return undefined;
    await this.#change(key, () => this.#quarantine(address));
    throw new NexusError("CORRUPT", `Chunk ${hexOf(address)} was damaged on disk and is set aside: fetch it again.`);
  }

  async #quarantine(address: Uint8Array): Promise<void> {
    this.#present.delete(blobKey(address));
    const { folder, path } = this.#place(address);
    await rename(path, join(this.#folder, "quarantine", hexOf(address))).catch((error) => {
      if (error.code !== "ENOENT") throw error;
    });
    await this.#sync.sync(folder);
    await this.#tidyQuarantine();
  }

  async #tidyQuarantine(): Promise<void> {
    const folder = join(this.#folder, "quarantine");
    const names = await readdir(folder);
    if (names.length <= quarantinedMax) return;
    const aged = await Promise.all(
      names.map(async (name) => ({
        name,
        atMs: (await stat(join(folder, name)).catch(() => undefined))?.ctimeMs ?? 0,
      })),
    );
    aged.sort((left, right) => left.atMs - right.atMs);
    for (const { name } of aged.slice(0, names.length - quarantinedMax)) await rm(join(folder, name), { force: true });
  }

  async delete(address: Uint8Array): Promise<void> {
    const key = blobKey(address);
    await this.#change(key, async () => {
      this.#present.delete(key);
      await rm(this.#place(address).path, { force: true });
    });
  }

  async collect({ address, storedMs }: BlobInfo, isOrphan: () => boolean): Promise<boolean> {
    const key = blobKey(address);
    let isGone = false;
    await this.#change(key, async () => {
      const found = await stat(this.#place(address).path).catch(() => undefined);
      if (found?.mtimeMs !== storedMs || !this.#present.has(key) || !isOrphan()) return;
      this.#present.delete(key);
      isGone = true;
      await rm(this.#place(address).path, { force: true });
    });
    return isGone;
  }

  async *list(): AsyncIterable<BlobInfo> {
    for (const key of [...this.#present]) {
      const address = Uint8Array.from(Buffer.from(key, "latin1"));
      const found = await stat(this.#place(address).path).catch(() => undefined);
      if (found !== undefined) yield { address, sizeBytes: found.size, storedMs: found.mtimeMs };
    }
  }

  /** Bytes that can still be stored. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await guard("ask for free space", () => statfs(this.#folder));
    return bavail * bsize;
  }

  #place(address: Uint8Array): { folder: string; path: string } {
    const name = hexOf(address);
    const folder = join(this.#folder, name.slice(2, 4), name.slice(4, 6));
    return { folder, path: join(folder, name) };
  }

  /** Runs `work` when every earlier change of the address has ended. */
  async #change(key: string, work: () => Promise<void>): Promise<void> {
    const earlier = this.#changing.get(key) ?? Promise.resolve();
    const mine = earlier.catch(() => {}).then(() => guard("change a chunk", work));
    this.#changing.set(key, mine);
    try {
      await mine;
    } finally {
      if (this.#changing.get(key) === mine) this.#changing.delete(key);
    }
  }
}

async function guard<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NexusError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? "";
    const codes: Record<string, ErrorCode> = { ENOSPC: "DISK_FULL", EDQUOT: "DISK_FULL", ENOENT: "NOT_FOUND" };
    throw new NexusError(codes[reason] ?? "INTERNAL", `Cannot ${what}: ${messageOf(error)}`, { cause: error });
  }
}
