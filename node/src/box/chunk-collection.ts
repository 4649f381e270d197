// Deletes content that no file refers to any more, and what uploads left behind that never became a file.
//
// The problem: a chunk that is unreferenced now may be named by an entry that is on its way, through a log that this box
// only follows, by an upload that found the chunk here and did not send it again. To ask all states and delete is a race
// that loses acknowledged content. The sketch: what was unreferenced for long is dropped by an entry in every log that
// has a replica here (the machine refuses files whose upload began before it); once that entry is applied here, and
// nothing in the logs above names the chunk, and nobody has put it again, it goes. Each box collects its own chunks; the
// leaders of its logs order it among their writes.

import { asBuffer } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { messageOf, type Refusal } from "../base/errors.ts";
import type { BlobInfo, BlobStore } from "../blobs/blob-store.ts";
import { type ChunkPins, OrphanWatch } from "../blobs/orphans.ts";
import type { Groups } from "../group/api.ts";
import { systemLog } from "../tree/system-zone.ts";
import { type Ask, refusalIn } from "./ask.ts";
import type { BoxLog } from "./ports.ts";

export interface CollectionSettings {
  /** Pause between two looks at all chunks, ms. */
  everyMs: number;
  /** How long a chunk must have been unreferenced, ms: above the time that a slow download takes. */
  graceMs: number;
  /** Chunks deleted by one run at most; the next one follows after the pause. */
  deletionsMax: number;
  /** Unreferenced chunks remembered between looks. */
  rememberedMax: number;
}

export const defaultCollection: CollectionSettings = {
  everyMs: 10 * 60_000,
  graceMs: 60 * 60_000,
  deletionsMax: 1_000,
  rememberedMax: 100_000,
};

/** Time for a log to take and apply the entry, ms. */
const dropTimeoutMs = 10_000;

export interface CollectionNeeds {
  store: BlobStore;
  pins: ChunkPins;
  groups: Pick<Groups, "logs" | "view" | "whenApplied" | "mayRefer">;
  machines: { machine(log: number): { refersToChunk(address: Uint8Array): boolean } | undefined };
  ask: Ask;
  clock: Clock;
  log: BoxLog;
  settings: CollectionSettings;
}

export class ChunkCollection {
  readonly #needs: CollectionNeeds;
  readonly #watch = new OrphanWatch();
  readonly #stop = new AbortController();
  #timer: Timer | undefined;

  constructor(needs: CollectionNeeds) {
    this.#needs = needs;
  }

  start(): void {
    const { clock, settings, log } = this.#needs;
    this.#timer = clock.after(settings.everyMs, () => {
      this.run()
        .catch((error) => log.warn("orphaned chunks could not be collected", { reason: messageOf(error) }))
        .finally(() => {
          if (!this.#stop.signal.aborted) this.start();
        });
    });
  }
  stop(): void {
    this.#stop.abort();
    this.#timer?.cancel();
  }

  /** One look and what follows from it; answers how many chunks were deleted. */
  async run(): Promise<number> {
    const { store, clock, settings, log } = this.#needs;
    if (this.#hasUnknownState()) return 0;
    const ripe = await this.#watch.look(store, {
      isReferenced: (address) => this.#isReferenced(address),
      nowMs: clock.wallMs(),
      graceMs: settings.graceMs,
      ripeMax: settings.deletionsMax,
      rememberedMax: settings.rememberedMax,
      signal: this.#stop.signal,
    });
    if (ripe.length === 0) return 0;
    const logs = this.#logs();
    for (const number of logs) {
      const refused = await this.#drop(number, ripe);
      if (refused === undefined) continue;
      log.info("orphaned chunks wait for a zone", { log: number, reason: refused.message });
      return 0;
    }
    const deleted = await this.#delete(ripe, new Set(logs));
    log.info("orphaned chunks deleted", { deleted });
    return deleted;
  }

  /** Zones' logs with a replica here; the system zone holds no files. */
  #logs(): number[] {
    return this.#needs.groups.logs().filter((log) => log !== systemLog);
  }

  /** A damaged replica does not say what it refers to. */
  #hasUnknownState(): boolean {
    const { groups, machines } = this.#needs;
    return this.#logs().some((log) => {
      return machines.machine(log) === undefined || groups.view(log)?.needsReplication !== false;
    });
  }

  #isReferenced(address: Uint8Array): boolean {
    const { machines, pins } = this.#needs;
    return (
      pins.isPinned(address) || this.#logs().some((log) => machines.machine(log)?.refersToChunk(address) !== false)
    );
  }

  /** Undefined once the log holds that the chunks are dropped, and this box has applied it. */
  async #drop(log: number, chunks: readonly BlobInfo[]): Promise<Refusal | undefined> {
    const { ask, groups } = this.#needs;
    const zone = groups.view(log)?.zone ?? "";
    const value = { addresses: chunks.map(({ address }) => asBuffer(address)) };
    const response = await ask(
      { $case: "mutate", value: { op: { $case: "dropChunks", value } } },
      { zone, options: { timeoutMs: dropTimeoutMs } },
    );
    const refused = refusalIn(response);
    if (refused !== undefined) return refused;
    const index = response.receipt?.index ?? Number.MAX_SAFE_INTEGER;
    return new Promise((resolve) => groups.whenApplied(log, index, resolve, dropTimeoutMs));
  }

  async #delete(chunks: readonly BlobInfo[], dropped: ReadonlySet<number>): Promise<number> {
    const { store, groups } = this.#needs;
    const isOrphan = (address: Uint8Array) =>
      !this.#hasUnknownState() &&
      this.#logs().every((log) => dropped.has(log)) &&
      !this.#isReferenced(address) &&
      !groups.mayRefer(address);
    let deleted = 0;
    for (const info of chunks) {
      if (this.#stop.signal.aborted) return deleted;
      if (await store.collect(info, () => isOrphan(info.address))) deleted++;
    }
    return deleted;
  }
}
