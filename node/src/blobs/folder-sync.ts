import { open } from "node:fs/promises";
import type { DiskTurns } from "./disk-turns.ts";

/** Makes renames durable. Whoever asks while a folder waits for its turn shares that sync; one under way does not count. */
export class FolderSync {
  readonly #disk: DiskTurns;
  readonly #waiting = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(disk: DiskTurns) {
    this.#disk = disk;
  }

  sync(folder: string): Promise<void> {
    const waiting = this.#waiting.get(folder);
    if (waiting !== undefined) return waiting;
    const before = this.#running.get(folder) ?? Promise.resolve();
    const mine = before
      .catch(() => {})
      .then(() => {
        this.#waiting.delete(folder);
        this.#running.set(folder, mine);
        return this.#disk.run(() => syncNow(folder));
      })
      .finally(() => {
        if (this.#running.get(folder) === mine) this.#running.delete(folder);
      });
    this.#waiting.set(folder, mine);
    return mine;
  }
}

async function syncNow(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
