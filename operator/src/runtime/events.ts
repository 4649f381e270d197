import { type Clock, delay, type Random } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { BoundedQueue } from "@nexus-federation/node/base/queue.ts";
import { apiGroup } from "../api/kinds.ts";
import type { EventNote, EventSink, KubeClient, Log } from "./api.ts";
import { isKubeError } from "./kube-error.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import type { KubeObject } from "./objects.ts";
import { resourceTypes } from "./resource-types.ts";

/** Notes that wait to be written; more are dropped and counted. */
const waitingMax = 1_000;
/** The same note within this time is one event with a count. */
const seriesMs = 360_000;
/** A count is written at most this often. */
const countEveryMs = 30_000;
/** Different notes about one object: so many at once, then one in so long. */
const burst = 25;
const refillMs = 30_000;
/** Series and buckets that are remembered. */
const rememberedMax = 10_000;
const noteCharactersMax = 1_024;
const deadlineMs = 10_000;

interface Series {
  about: KubeObject;
  note: EventNote;
  /** Of the event object; empty until it is written. */
  name: string;
  count: number;
  lastMs: number;
  writtenMs: number;
}

interface RecorderNeeds {
  client: Pick<KubeClient, "create" | "patch">;
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  log: Log;
}

/** The contract is EventSink's: what is recorded is written one by one, behind the reconcile that recorded it. */
export class EventRecorder implements EventSink {
  readonly #needs: RecorderNeeds;
  /** Which replica of the operator says so. */
  readonly #instance: string;
  readonly #waiting = new BoundedQueue<Series>({ itemsMax: waitingMax });
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();
  readonly #stopping = new AbortController();
  #writing: Promise<void> | undefined;

  constructor(instance: string, needs: RecorderNeeds) {
    this.#instance = instance;
    this.#needs = needs;
  }

  record(about: KubeObject, note: EventNote): void {
    if (this.#stopping.signal.aborted) return;
    const key = [about.metadata.uid, note.type, note.reason, note.action, note.message].join("|");
    const nowMs = this.#needs.clock.now();
    const known = this.#series.get(key);
    let series: Series;
    if (known && nowMs - known.lastMs < seriesMs) {
      series = known;
      series.count++;
      series.lastMs = nowMs;
      if (nowMs - series.writtenMs < countEveryMs) return;
      series.writtenMs = nowMs;
    } else {
      if (!this.#takeToken(about.metadata.uid ?? "")) return this.#drop();
      series = { about, note, name: "", count: 1, lastMs: nowMs, writtenMs: nowMs };
      this.#series.delete(key);
      this.#series.set(key, series);
      forgetOldest(this.#series);
    }
    if (!this.#waiting.push(series)) return this.#drop();
    this.#writing ??= this.#write();
  }

  /** Writes what waits, within a bound, and takes nothing more. */
  async stop(): Promise<void> {
    const timer = this.#needs.clock.after(deadlineMs, () => this.#stopping.abort(new Error("the operator stops")));
    await this.#writing;
    timer.cancel();
    this.#stopping.abort(new Error("the operator stops"));
  }

  async #write(): Promise<void> {
    // What is recorded in one turn is written after it.
    await delay(this.#needs.clock, 0);
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        await this.#writeOne(next);
      } catch (error) {
        // An event is a courtesy: losing one must not hold up or fail anything.
        this.#drop();
        const { kind, metadata } = next.about;
        const fields = { kind, object: metadata.name, reason: next.note.reason, error: messageOf(error) };
        this.#needs.log.debug(fields, "an event was not written");
      }
    }
    this.#writing = undefined;
  }

  async #writeOne(series: Series): Promise<void> {
    const { client } = this.#needs;
    const options = { deadlineMs, signal: this.#stopping.signal };
    if (series.name !== "") {
      const at = { namespace: namespaceOf(series.about), name: series.name };
      const patch = { series: { count: series.count, lastObservedTime: this.#microTime() } };
      try {
        await client.patch(resourceTypes.event, at, patch, options);
        return;
      } catch (error) {
        // The server forgets events after an hour: then this is a new one.
        if (!isKubeError(error, "NOT_FOUND")) throw error;
      }
    }
    const event = this.#eventOf(series.about, series.note);
    await client.create(resourceTypes.event, event, options);
    series.name = event.metadata.name;
  }

  #eventOf(about: KubeObject, note: EventNote) {
    const { name, namespace, uid, resourceVersion } = about.metadata;
    const suffix = Buffer.from(this.#needs.random.bytes(8)).toString("hex");
    return {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: `${name}.${suffix}`, namespace: namespaceOf(about) },
      eventTime: this.#microTime(),
      reportingController: `${apiGroup}/operator`,
      reportingInstance: this.#instance,
      type: note.type,
      reason: note.reason,
      action: note.action,
      note: note.message.slice(0, noteCharactersMax),
      regarding: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
    };
  }

  #takeToken(uid: string): boolean {
    const nowMs = this.#needs.clock.now();
    const bucket = this.#buckets.get(uid) ?? { tokens: burst, atMs: nowMs };
    const refilled = Math.floor((nowMs - bucket.atMs) / refillMs);
    const tokens = Math.min(burst, bucket.tokens + refilled);
    const isFull = tokens === burst;
    this.#buckets.delete(uid);
    if (tokens === 0) {
      this.#buckets.set(uid, bucket);
      return false;
    }
    this.#buckets.set(uid, { tokens: tokens - 1, atMs: isFull ? nowMs : bucket.atMs + refilled * refillMs });
    forgetOldest(this.#buckets);
    return true;
  }

  #drop(): void {
    this.#needs.metrics.eventsDropped.inc();
  }

  #microTime(): string {
    return new Date(this.#needs.clock.wallMs()).toISOString().replace("Z", "000Z");
  }
}

/** Events about cluster-scoped objects lie in `default`. */
function namespaceOf(about: KubeObject): string {
  return about.metadata.namespace ?? "default";
}

function forgetOldest(map: Map<string, unknown>): void {
  if (map.size > rememberedMax) map.delete(map.keys().next().value as string);
}
