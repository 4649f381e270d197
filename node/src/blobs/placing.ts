import { mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { DiskTurns } from "./disk-turns.ts";
import type { FolderSync } from "./folder-sync.ts";

/** Where a chunk's file belongs. */
export interface Place {
  folder: string;
  path: string;
}

export interface PlacingNeeds {
  sync: Pick<FolderSync, "sync">;
  disk: DiskTurns;
}

interface Waiting extends Place {
  aside: string;
  placed: () => void;
  failed: (error: unknown) => void;
}

/** Batches at once: one that is made durable, and the next. */
const batchesMax = 2;

/**
 * Puts written files in their places. Folders by digest are almost all different: a sync of each by itself waits for the
 * disk up to three times a chunk. So what comes while others are made durable is renamed together and then synced
 * together, which the file system's journal does at once.
 */
export class Placing {
  readonly #root: string;
  readonly #sync: PlacingNeeds["sync"];
  readonly #disk: DiskTurns;
  /** Folders whose own names are durable. */
  readonly #known = new Set<string>();
  #waiting: Waiting[] = [];
  #batches = 0;

  constructor(root: string, needs: PlacingNeeds) {
    this.#root = root;
    this.#sync = needs.sync;
    this.#disk = needs.disk;
  }

  /** Durable when resolved. */
  place(aside: string, place: Place): Promise<void> {
    const done = new Promise<void>((placed, failed) => this.#waiting.push({ ...place, aside, placed, failed }));
    this.#next();
    return done;
  }

  #next(): void {
    if (this.#batches === batchesMax || this.#waiting.length === 0) return;
    this.#batches++;
    const batch = this.#waiting;
    this.#waiting = [];
    void this.#run(batch).finally(() => {
      this.#batches--;
      this.#next();
    });
  }

  async #run(batch: Waiting[]): Promise<void> {
    const moved: Waiting[] = [];
    await Promise.all(
      batch.map((one) =>
        this.#disk
          .run(() => this.#move(one))
          .then(
            () => moved.push(one),
            (error) => one.failed(error),
          ),
      ),
    );
    const changed = new Set(moved.flatMap(({ folder }) => this.#changedWith(folder)));
    try {
      await Promise.all([...changed].map((folder) => this.#sync.sync(folder)));
    } catch (error) {
      for (const one of moved) one.failed(error);
      return;
    }
    for (const { folder, placed } of moved) {
      this.#known.add(folder).add(dirname(folder));
      placed();
    }
  }

  async #move({ aside, folder, path }: Waiting): Promise<void> {
    if (!this.#known.has(folder)) await mkdir(folder, { recursive: true });
    await rename(aside, path);
  }

  /** The folder, and those above in which a name may be new. */
  #changedWith(folder: string): string[] {
    if (this.#known.has(folder)) return [folder];
    const above = dirname(folder);
    return this.#known.has(above) ? [folder, above] : [folder, above, this.#root];
  }
}
