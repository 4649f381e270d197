/**
 * Work of chunks on the disk at once. A box has eight threads for all its files: an upload that held them all in syncs
 * would keep the log's writes, and with them every put, waiting.
 */
const atOnceMax = 5;

/** Runs so much at once; the rest waits, first come first served. Its callers bound how much that is. */
export class DiskTurns {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= atOnceMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
