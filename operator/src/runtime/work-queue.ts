import { Backoff } from "@nexus-federation/node/base/backoff.ts";
import type { Clock, Random, Timer } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import type { Log, Outcome, Queue } from "./api.ts";
import type { RuntimeMetrics } from "./metrics.ts";

export interface QueueSettings {
  /** Keys worked on at once. */
  workers: number;
  backoff: { firstMs: number; maxMs: number };
  /** One reconcile may take this long; then its signal aborts. */
  reconcileMsMax: number;
  /**
   * Keys that wait or are delayed. Beyond it new ones are refused and logged; the next change of their object brings
   * them again.
   */
  keysMax: number;
}

const queueDefaults: QueueSettings = {
  workers: 4,
  backoff: { firstMs: 5, maxMs: 300_000 },
  reconcileMsMax: 120_000,
  keysMax: 100_000,
};

export interface QueueInit {
  /** Label of its metrics and log lines. */
  name: string;
  /** Looks at the object of that name and does what is missing. `signal` aborts when the queue stops or time is up. */
  reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>;
  settings?: Partial<QueueSettings>;
}

export interface QueueNeeds {
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  log: Log;
}

interface Running {
  startedMs: number;
  /** Added meanwhile: once more afterwards. */
  again: boolean;
  abort: AbortController;
}

interface Delayed {
  atMs: number;
  timer: Timer;
}

/** The contract is Queue's. Invariant: a key is in at most one of waiting and running. */
export class WorkQueue implements Queue {
  readonly #init: QueueInit;
  readonly #needs: QueueNeeds;
  readonly #settings: QueueSettings;
  /** By when they were added, oldest first. */
  readonly #waiting = new Map<string, number>();
  readonly #running = new Map<string, Running>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #backoffs = new Map<string, Backoff>();
  readonly #idle = new Set<() => void>();
  #state: "new" | "started" | "stopped" = "new";

  constructor(init: QueueInit, needs: QueueNeeds) {
    this.#init = init;
    this.#needs = needs;
    this.#settings = { ...queueDefaults, ...init.settings };
  }

  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#state === "stopped") return;
    this.#undelay(key);
    const running = this.#running.get(key);
    if (running) {
      if (!running.again) this.#needs.metrics.queueAdds.inc({ name: this.#init.name });
      running.again = true;
      return;
    }
    if (this.#waiting.has(key) || this.#isFull(key)) return;
    this.#waiting.set(key, this.#needs.clock.now());
    this.#needs.metrics.queueAdds.inc({ name: this.#init.name });
    this.#pump();
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#state === "stopped") return;
    if (delayMs <= 0) return this.add(key);
    if (this.#waiting.has(key)) return;
    const atMs = this.#needs.clock.now() + delayMs;
    const earlier = this.#delayed.get(key);
    if ((earlier && earlier.atMs <= atMs) || (!earlier && this.#isFull(key))) return;
    earlier?.timer.cancel();
    const timer = this.#needs.clock.after(delayMs, () => this.add(key));
    this.#delayed.set(key, { atMs, timer });
  }

  start(): void {
    if (this.#state === "new") this.#state = "started";
    this.#pump();
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#waiting.clear();
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#backoffs.clear();
    for (const { abort } of this.#running.values()) abort.abort(new Error(`the queue ${this.#init.name} is stopped`));
    this.#gauge();
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  /** Ages of what runs, for the metrics page. */
  observe(): void {
    const nowMs = this.#needs.clock.now();
    const ages = [...this.#running.values()].map(({ startedMs }) => (nowMs - startedMs) / 1000);
    const { name } = this.#init;
    this.#needs.metrics.queueUnfinished.set(
      { name },
      ages.reduce((sum, age) => sum + age, 0),
    );
    this.#needs.metrics.queueLongest.set({ name }, Math.max(0, ...ages));
  }

  #isFull(key: string): boolean {
    if (this.#waiting.size + this.#delayed.size < this.#settings.keysMax) return false;
    this.#needs.log.error({ queue: this.#init.name, key }, "the queue is full and refuses a key");
    return true;
  }

  #undelay(key: string): void {
    this.#delayed.get(key)?.timer.cancel();
    this.#delayed.delete(key);
  }

  #pump(): void {
    while (this.#state === "started" && this.#running.size < this.#settings.workers) {
      const next = this.#waiting.entries().next();
      if (next.done) break;
      const [key, sinceMs] = next.value;
      this.#waiting.delete(key);
      const { clock, metrics } = this.#needs;
      metrics.queueWait.observe({ name: this.#init.name }, (clock.now() - sinceMs) / 1000);
      const running = { startedMs: clock.now(), again: false, abort: new AbortController() };
      this.#running.set(key, running);
      void this.#work(key, running);
    }
    this.#gauge();
  }

  /** Never rejects. */
  async #work(key: string, running: Running): Promise<void> {
    const { clock, metrics } = this.#needs;
    const { reconcileMsMax } = this.#settings;
    const { name } = this.#init;
    const timer = clock.after(reconcileMsMax, () =>
      running.abort.abort(new Error(`the reconcile took more than ${reconcileMsMax} ms`)),
    );
    let outcome: Outcome | { kind: "error"; error: unknown };
    try {
      outcome = await this.#init.reconcile(key, running.abort.signal);
    } catch (error) {
      outcome = { kind: "error", error };
    }
    timer.cancel();
    this.#running.delete(key);
    metrics.queueWork.observe({ name }, (clock.now() - running.startedMs) / 1000);
    metrics.reconciles.inc({ name, result: outcome.kind });
    if (this.#state !== "stopped") this.#settle(key, running, outcome);
    if (this.#running.size === 0) {
      for (const resolve of this.#idle) resolve();
      this.#idle.clear();
    }
    this.#pump();
  }

  #settle(key: string, running: Running, outcome: Outcome | { kind: "error"; error: unknown }): void {
    const fields = { queue: this.#init.name, key };
    switch (outcome.kind) {
      case "done":
        this.#backoffs.delete(key);
        break;
      case "failed":
        this.#backoffs.delete(key);
        this.#needs.log.warn({ ...fields, reason: outcome.reason }, "only a change of the object can help");
        break;
      case "retry":
        if (outcome.afterMs === undefined) this.#retry(key, fields, outcome.reason);
        else {
          this.#backoffs.delete(key);
          this.addAfter(key, outcome.afterMs);
        }
        break;
      case "error":
        this.#retry(key, { ...fields, stack: (outcome.error as Error | undefined)?.stack }, messageOf(outcome.error));
        break;
    }
    if (running.again) this.add(key);
  }

  #retry(key: string, fields: object, reason: string): void {
    const { random, metrics, log } = this.#needs;
    const backoff = this.#backoffs.get(key) ?? new Backoff(random, { ...this.#settings.backoff, factor: 2 });
    this.#backoffs.set(key, backoff);
    const afterMs = backoff.nextMs();
    metrics.queueRetries.inc({ name: this.#init.name });
    log.warn({ ...fields, reason, attempts: backoff.attempts, afterMs: Math.round(afterMs) }, "reconcile again later");
    this.addAfter(key, afterMs);
  }

  #gauge(): void {
    this.#needs.metrics.queueDepth.set({ name: this.#init.name }, this.#waiting.size);
  }
}
