// A file that is written beside its name and moved there when it is whole. Why not one fixed partial name: two writers
// of one target would write into each other's bytes. The sketch: a name that nobody else uses, opened only if it is not
// there; a signal that ends the process removes what is not whole yet.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, createWriteStream, linkSync, openSync, renameSync, rmSync, type WriteStream } from "node:fs";
import { dirname, join } from "node:path";
import { finished } from "node:stream/promises";
import { UsageError } from "./durations.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Partial files of this process that are not in place yet. */
const open = new Set<string>();

export class PartialFile {
  readonly target: string;
  readonly path: string;
  readonly out: WriteStream;

  private constructor(target: string, path: string, out: WriteStream) {
    this.target = target;
    this.path = path;
    this.out = out;
  }

  /** `flush`: what is moved into place is on the disk before. */
  static async open(target: string, options: { mode?: number; flush?: boolean } = {}): Promise<PartialFile> {
    // Short, whatever the target is called: a name of full length has no room for an ending.
    const own = `.nexus-${process.pid}-${randomBytes(4).toString("hex")}.partial`;
    const path = join(dirname(target), own);
    watchSignals();
    open.add(path);
    const out = createWriteStream(path, { ...options, flags: "wx" });
    // A fault of the file ends the wait for it; the handler only keeps it from ending the process.
    out.on("error", () => {});
    try {
      await once(out, "open");
    } catch (error) {
      forget(path);
      // Nobody knows the name of the partial file: what cannot be written to is its folder.
      throw Object.assign(error as NodeJS.ErrnoException, { path: dirname(target) });
    }
    return new PartialFile(target, path, out);
  }

  /** Ends the stream and gives the file its name, instead of what stands there. */
  async replace(): Promise<void> {
    await this.#end();
    renameSync(this.path, this.target);
    forget(this.path);
  }

  /** Like `replace`; what stands at the name by now is never overwritten: a UsageError. */
  async moveNew(): Promise<void> {
    await this.#end();
    try {
      linkSync(this.path, this.target);
      rmSync(this.path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") throw new UsageError(existsText(this.target));
      if (code === undefined || !linkless.includes(code)) throw error;
      this.#claimAndRename();
    }
    forget(this.path);
  }

  /** Removes what was written. Nothing happens when it is in place already. */
  drop(): void {
    this.out.destroy();
    if (!open.has(this.path)) return;
    rmSync(this.path, { force: true });
    forget(this.path);
  }

  async #end(): Promise<void> {
    if (this.out.errored) throw this.out.errored;
    if (!this.out.destroyed) this.out.end();
    await finished(this.out);
  }

  /** For disks without hard links: the name is taken by an empty file that only this process replaces. */
  #claimAndRename(): void {
    try {
      closeSync(openSync(this.target, "wx"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") throw new UsageError(existsText(this.target));
      throw error;
    }
    renameSync(this.path, this.target);
  }
}

/** What a disk without hard links answers to link(). */
const linkless: readonly string[] = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

export function existsText(file: string): string {
  return `${file}: exists already; name another file`;
}

function watchSignals(): void {
  if (open.size > 0) return;
  for (const signal of signals) process.on(signal, onSignal);
}

function forget(path: string): void {
  open.delete(path);
  if (open.size > 0) return;
  for (const signal of signals) process.off(signal, onSignal);
}

/** The process ends by the signal, as it would without partial files. */
function onSignal(signal: NodeJS.Signals): void {
  for (const path of [...open]) {
    rmSync(path, { force: true });
    forget(path);
  }
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
