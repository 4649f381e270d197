import { readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { readAccessTable } from "../auth/access-file.ts";
import type { AccessTable } from "../auth/checks.ts";
import { isRefusal, messageOf, NexusError } from "../base/errors.ts";
import type { BoxSettings } from "./settings.ts";

/** How often they are looked at, ms: a disk may fill by a reserve's size in that time at most. */
const lookMs = 1_000;
/** Folders of a box, which may lie on disks of their own. */
export const diskUses = ["log", "state", "chunks"] as const;
export type DiskUse = (typeof diskUses)[number];

/** What is looked at now and then: free space and the token table. A file that is wrong keeps the former table. */
export class Surroundings {
  table: AccessTable;
  /** By use. */
  readonly freeBytes: Record<DiskUse, number>;
  readonly #settings: BoxSettings;
  readonly #failed: (reason: string) => void;
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(settings: BoxSettings, failed: (reason: string) => void) {
    this.#settings = settings;
    this.#failed = failed;
    const unknown = Number.MAX_SAFE_INTEGER;
    this.freeBytes = { log: unknown, state: unknown, chunks: unknown };
    this.table = { federation: settings.federation, tokens: [], users: [] };
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#lookAgain(), lookMs);
  }
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A disk that hangs keeps one look waiting, not a thread a second. */
  async #lookAgain(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.look();
    } catch (error) {
      this.#failed(messageOf(error));
    } finally {
      this.#looking = false;
    }
  }

  async look(): Promise<void> {
    const { dir, tokensFile, federation } = this.#settings;
    for (const use of diskUses) {
      const { bavail, bsize } = await statfs(join(dir, use));
      this.freeBytes[use] = bavail * bsize;
    }
    if (tokensFile === "") return;
    const text = await readFile(tokensFile, "utf8");
    if (text === this.#text) return;
    const table = readAccessTable(federation, JSON.parse(text));
    if (isRefusal(table)) throw new NexusError("INVALID", `${tokensFile}: ${table.message}`);
    this.table = table;
    this.#text = text;
  }

  get diskLow(): boolean {
    const { log, state, chunks } = this.freeBytes;
    return Math.min(log, state, chunks) < this.#settings.diskReserveBytes;
  }
}
