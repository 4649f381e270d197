import { createHash } from "node:crypto";
import type { CallOptions, KubeClient } from "./api.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import { versionOf } from "./object-cache.ts";
import { type KubeObject, keyOfObject } from "./objects.ts";
import { apiVersionOf, type ResourceType } from "./resource-types.ts";

/** Applies that are remembered; the oldest is forgotten first, and then applied once more for nothing. */
const rememberedMax = 50_000;

export interface Applied<T> {
  /** As the server has it now. */
  object: T;
  /** Whether a write changed it: false when it was left out or changed nothing. */
  changed: boolean;
}

interface Remembered {
  uid: string;
  /** Digest of what was wanted: the texts of thousands of objects would be half of the operator's memory. */
  intent: string;
  /** Digest of the same fields as the server had them afterwards, in its own spelling (`1Gi` for `1024Mi`). */
  result: string;
  /** The cached object of which that was seen last; cached objects never change, so that it need not be read again. */
  seen: WeakRef<KubeObject> | undefined;
}

/**
 * Server-side apply that is left out when it would change nothing: the same was wanted last time, and the fields it is
 * about still are what came of it. A comparison of wish and object alone would differ forever wherever the server spells
 * a value otherwise; a hash in an annotation would not see that somebody else changed a field. Forgotten at a restart:
 * then every object is applied once, which the server answers without a write.
 */
export class Applier {
  readonly #client: KubeClient;
  readonly #metrics: RuntimeMetrics;
  readonly #remembered: Map<string, Remembered>;

  constructor(needs: { client: KubeClient; metrics: RuntimeMetrics }, remembered = new Map<string, Remembered>()) {
    this.#client = needs.client;
    this.#metrics = needs.metrics;
    this.#remembered = remembered;
  }

  /** The same memory, through another client. */
  through(client: KubeClient): Applier {
    return new Applier({ client, metrics: this.#metrics }, this.#remembered);
  }

  /** `current` is the object as the cache shows it; undefined when it shows none, and always applies. */
  apply<T extends KubeObject>(
    type: ResourceType,
    intent: T,
    current: T | undefined,
    options: CallOptions = {},
  ): Promise<Applied<T>> {
    return this.#applied("", { type, intent, current }, () => this.#client.apply(type, intent, options));
  }

  /** `intent.status` is everything that the status should say. */
  applyStatus<T extends KubeObject>(
    type: ResourceType,
    intent: T,
    current: T | undefined,
    options: CallOptions = {},
  ): Promise<Applied<T>> {
    return this.#applied("status", { type, intent, current }, () => this.#client.applyStatus(type, intent, options));
  }

  async #applied<T extends KubeObject>(
    subresource: string,
    of: { type: ResourceType; intent: T; current: T | undefined },
    send: () => Promise<T>,
  ): Promise<Applied<T>> {
    const { type, current } = of;
    const key = `${apiVersionOf(type)}/${type.plural}/${keyOfObject(of.intent)}/${subresource}`;
    const wanted = withoutGuards(of.intent);
    const intent = digestOf(wanted);
    const before = this.#remembered.get(key);
    if (current && before && before.intent === intent && before.uid === current.metadata.uid) {
      if (before.seen?.deref() === current || before.result === digestOf(fieldsOf(current, wanted))) {
        if (before.seen?.deref() !== current) before.seen = new WeakRef(current);
        this.#metrics.appliesSkipped.inc();
        return { object: current, changed: false };
      }
    }
    const object = await send();
    const result = digestOf(fieldsOf(object, wanted));
    this.#remembered.delete(key);
    this.#remembered.set(key, { uid: object.metadata.uid ?? "", intent, result, seen: undefined });
    if (this.#remembered.size > rememberedMax) this.#remembered.delete(this.#remembered.keys().next().value as string);
    return { object, changed: current === undefined || versionOf(object) !== versionOf(current) };
  }
}

function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64");
}

/** uid and revision guard a write; they are no wish. */
function withoutGuards(intent: KubeObject): KubeObject {
  const { uid: _uid, resourceVersion: _resourceVersion, ...metadata } = intent.metadata;
  return { ...intent, metadata };
}

/** Of `value`, what stands where `wanted` has something. Lists of another length are taken whole: they differ anyway. */
function fieldsOf(value: unknown, wanted: unknown): unknown {
  if (Array.isArray(wanted) && Array.isArray(value) && wanted.length === value.length)
    return value.map((item, index) => fieldsOf(item, wanted[index]));
  if (!isMap(wanted) || !isMap(value)) return value ?? null;
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, fieldsOf(value[name], wanted[name])]));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
