import { Backoff } from "@nexus-federation/node/base/backoff.ts";
import { type Clock, delay, type Random, type Timer } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import type { CacheEvent, Informer, Log } from "./api.ts";
import type { RawClient } from "./client.ts";
import { deepFreeze } from "./frozen.ts";
import { isKubeError } from "./kube-error.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import { type IndexFunction, ObjectCache, versionOf } from "./object-cache.ts";
import { compareVersions, type KubeObject, keyOfName, type ObjectName } from "./objects.ts";
import type { ResourceType } from "./resource-types.ts";
import type { WatchEvent } from "./watch-stream.ts";

export interface InformerSettings {
  /** Delays between failed tries. */
  backoff: { firstMs: number; maxMs: number };
  /** Silence, bookmarks included, after which a watch counts as dead. The server sends a bookmark about every minute. */
  stallMs: number;
  /** The server ends a watch after this long, and half as much more at random. */
  watchSeconds: number;
  /** A full list at least this often heals what no watch ever showed. */
  relistMs: number;
  /** Watches that fail one after the other before the revision they start at is given up. */
  watchFailuresMax: number;
}

export const informerDefaults: InformerSettings = {
  backoff: { firstMs: 800, maxMs: 30_000 },
  stallMs: 90_000,
  watchSeconds: 300,
  relistMs: 3_600_000,
  watchFailuresMax: 5,
};

export interface InformerInit<T extends KubeObject> {
  type: ResourceType;
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  indexes?: Record<string, IndexFunction<T>>;
  /** Owners of fields are half of an object's size: kept of those objects alone for which somebody reads them. */
  keepsManagedFields?: (object: T) => boolean;
  settings?: Partial<InformerSettings>;
}

export interface InformerNeeds {
  client: Pick<RawClient, "list" | "watch">;
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  log: Log;
}

type Fault = "stall" | "broken" | "expired" | "disorder" | "handler" | "index" | "list";

/** A watch said something that cannot come after what it said before: only a list can be trusted now. */
class DisorderError extends Error {}

/** The contract is Informer's. One loop lists, watches, and heals; nothing but stop() ends it. */
export class SharedInformer<T extends KubeObject = KubeObject> implements Informer<T> {
  readonly type: ResourceType;
  readonly #init: InformerInit<T>;
  readonly #needs: InformerNeeds;
  readonly #settings: InformerSettings;
  readonly #cache: ObjectCache<T>;
  readonly #backoff: Backoff;
  readonly #handlers = new Set<(event: CacheEvent<T>) => void>();
  readonly #stopping = new AbortController();
  readonly #syncWaiters = new Set<() => void>();
  #watching: AbortController | undefined;
  #loop: Promise<void> | undefined;
  #synced = false;
  #mustList = true;
  #listedAtMs = 0;
  #watchFailures = 0;
  #resourceVersion = "";

  constructor(init: InformerInit<T>, needs: InformerNeeds) {
    this.type = init.type;
    this.#init = init;
    this.#needs = needs;
    this.#settings = { ...informerDefaults, ...init.settings };
    this.#cache = new ObjectCache(init.indexes ?? {}, (index, object, error) => {
      this.#fault("index", error, { index, object: keyOfName(object.metadata) });
    });
    this.#backoff = new Backoff(needs.random, { ...this.#settings.backoff, factor: 2 });
  }

  get synced(): boolean {
    return this.#synced;
  }
  get resourceVersion(): string {
    return this.#resourceVersion;
  }
  get(name: ObjectName): T | undefined {
    return this.#cache.get(keyOfName(name));
  }
  list(namespace?: string): T[] {
    return [...(namespace === undefined ? this.#cache.values() : this.#cache.inNamespace(namespace))];
  }
  byIndex(index: string, value: string): T[] {
    return this.#cache.byIndex(index, value);
  }

  onChange(handler: (event: CacheEvent<T>) => void): () => void {
    for (const object of this.#cache.values()) this.#call(handler, { kind: "added", object });
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  waitSynced(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#synced) return resolve();
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#syncWaiters.delete(onSync);
        reject(signal?.reason);
      };
      const onSync = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      this.#syncWaiters.add(onSync);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  relist(): void {
    this.#mustList = true;
    this.#watching?.abort(new Error("a new list was asked for"));
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("the informer is stopped"));
    this.#watching?.abort(this.#stopping.signal.reason);
    this.#handlers.clear();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let waitMs = 0;
      try {
        if (this.#mustList || this.#needs.clock.now() - this.#listedAtMs >= this.#settings.relistMs) await this.#list();
        waitMs = await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        waitMs = this.#afterFailure(error);
      }
      if (waitMs > 0) await delay(this.#needs.clock, waitMs, signal).catch(() => {});
    }
  }

  async #list(): Promise<void> {
    const { client, clock, metrics } = this.#needs;
    const { namespace, labelSelector, fieldSelector } = this.#init;
    // Set back at once: a list that is asked for while this one is under way must happen after it.
    this.#mustList = false;
    const signal = this.#stopping.signal;
    try {
      const listed = await client.list<T>(this.type, { namespace, labelSelector, fieldSelector, signal });
      metrics.cacheLists.inc({ kind: this.type.kind });
      const events = this.#cache.replace(listed.items.map((item) => this.#kept(item)));
      this.#resourceVersion = listed.resourceVersion;
      this.#listedAtMs = clock.now();
      this.#watchFailures = 0;
      this.#synced = true;
      this.#publish(events);
    } catch (error) {
      this.#mustList = true;
      throw error;
    }
    for (const waiter of this.#syncWaiters) waiter();
    this.#syncWaiters.clear();
  }

  /** Follows the server until the watch ends; how long to wait before the next one. */
  async #watch(): Promise<number> {
    const { client, clock, random } = this.#needs;
    const { namespace, labelSelector, fieldSelector } = this.#init;
    const { watchSeconds, stallMs } = this.#settings;
    const watching = new AbortController();
    this.#watching = watching;
    let stalled = false;
    let timer: Timer | undefined;
    const rearm = () => {
      timer?.cancel();
      timer = clock.after(stallMs, () => {
        stalled = true;
        watching.abort(new Error(`nothing came for ${stallMs} ms`));
      });
    };
    let events = 0;
    try {
      if (this.#stopping.signal.aborted || this.#mustList) return 0;
      rearm();
      const { signal } = watching;
      const timeoutSeconds = Math.ceil(watchSeconds * (1 + random.unit() / 2));
      const selection = { namespace, labelSelector, fieldSelector };
      const stream = client.watch(this.type, {
        ...selection,
        resourceVersion: this.#resourceVersion,
        timeoutSeconds,
        signal,
      });
      for await (const event of stream) {
        rearm();
        if (signal.aborted) return 0;
        this.#take(event);
        if (events++ === 0) this.#healthy();
      }
      // A server that ends every watch at once must not be asked in a tight loop.
      return events > 0 ? 0 : this.#backoff.nextMs();
    } catch (error) {
      if (stalled) {
        this.#fault("stall", watching.signal.reason);
        // Not even a bookmark came: something in between holds watches back, and the next would be as blind.
        if (events === 0) this.#mustList = true;
      } else if (watching.signal.aborted) return 0;
      else throw error;
      return this.#backoff.nextMs();
    } finally {
      timer?.cancel();
      this.#watching = undefined;
    }
  }

  #healthy(): void {
    this.#backoff.reset();
    this.#watchFailures = 0;
  }

  #afterFailure(error: unknown): number {
    if (isKubeError(error, "GONE")) {
      this.#fault("expired", error);
      const first = !this.#mustList && this.#backoff.attempts === 0;
      this.#mustList = true;
      const waitMs = this.#backoff.nextMs();
      return first ? 0 : waitMs;
    }
    if (error instanceof DisorderError) {
      this.#fault("disorder", error);
      this.#mustList = true;
    } else if (this.#mustList) this.#fault("list", error);
    else {
      this.#fault("broken", error);
      // A revision from before the server's data was restored would never come to anything.
      if (++this.#watchFailures >= this.#settings.watchFailuresMax) this.#mustList = true;
    }
    return this.#backoff.nextMs();
  }

  #take(event: WatchEvent): void {
    const version = versionOf(event.object);
    const isNewer = compareVersions(version, this.#resourceVersion) > 0;
    if (event.type === "BOOKMARK") {
      if (isNewer) this.#resourceVersion = version;
      return;
    }
    const object = this.#kept(event.object as T);
    if (!isNewer) {
      if (this.#cache.shows(event.type, object)) return;
      throw new DisorderError(
        `${event.type} ${keyOfName(object.metadata)} of revision ${version} came after ${this.#resourceVersion}`,
      );
    }
    this.#resourceVersion = version;
    this.#publish(event.type === "DELETED" ? this.#cache.remove(object) : this.#cache.put(object));
  }

  #kept(object: T): T {
    if (this.#init.keepsManagedFields?.(object) !== true) delete object.metadata.managedFields;
    return deepFreeze(object);
  }

  #publish(events: CacheEvent<T>[]): void {
    const { metrics } = this.#needs;
    metrics.cacheObjects.set({ kind: this.type.kind }, this.#cache.size);
    for (const event of events) {
      metrics.cacheEvents.inc({ kind: this.type.kind, event: event.kind });
      for (const handler of this.#handlers) this.#call(handler, event);
    }
  }

  #call(handler: (event: CacheEvent<T>) => void, event: CacheEvent<T>): void {
    try {
      handler(event);
    } catch (error) {
      this.#fault("handler", error, { object: keyOfName(event.object.metadata) });
    }
  }

  #fault(fault: Fault, error: unknown, more: object = {}): void {
    const { metrics, log } = this.#needs;
    metrics.cacheFaults.inc({ kind: this.type.kind, fault });
    const fields = { kind: this.type.kind, fault, error: messageOf(error), ...more };
    if (fault === "handler" || fault === "index") log.error(fields, "a function that follows the cache threw");
    // A server without any change to tell of sends no bookmarks either: silence alone is no reason to wake anybody.
    else if (fault === "stall") log.debug(fields, "the watch was silent for long and is begun anew");
    else log.warn(fields, "the cache lost its watch and heals itself");
  }
}
