import { type Clock, delay } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { readAnswer } from "./answers.ts";
import type { CallOptions, DeleteOptions, KubeClient, ListOptions } from "./api.ts";
import type { Connection } from "./connection.ts";
import type { Failpoints } from "./failpoints.ts";
import { type Answer, exchange, type HttpCall, staleConnection, stream } from "./http-call.ts";
import { isKubeError, KubeError } from "./kube-error.ts";
import { linkSignals } from "./linked-signal.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import type { KubeObject, ObjectName } from "./objects.ts";
import { pathOf, type ResourceType, resourceTypes } from "./resource-types.ts";
import { readWatch, type WatchEvent } from "./watch-stream.ts";

/** Objects a page of a list. */
const pageObjects = 500;
const deadlineMs = 30_000;
/** How often one call waits for Retry-After before its caller is told. */
const waitsMax = 5;
/** A list that expires between two pages starts over this often. */
const listTriesMax = 3;

const fieldManager = "nexus-operator";
const statusFieldManager = "nexus-operator-status";

export interface ClientNeeds {
  connection: Connection;
  clock: Clock;
  metrics: RuntimeMetrics;
  /** Passed before and after every write as `before-write` and `after-write`. */
  failpoints: Failpoints;
}

export interface WatchOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Changes after this revision. */
  resourceVersion: string;
  /** The server ends the watch after this long. */
  timeoutSeconds: number;
  signal: AbortSignal;
}

type Query = Record<string, string | number | boolean | undefined>;

/** The contract is KubeClient's. */
export class RawClient implements KubeClient {
  readonly #needs: ClientNeeds;
  /** Any of them ends every call. */
  readonly #signals: readonly AbortSignal[];

  constructor(needs: ClientNeeds, signals: readonly AbortSignal[] = []) {
    this.#needs = needs;
    this.#signals = signals;
  }

  bound(signal: AbortSignal): RawClient {
    return new RawClient(this.#needs, [...this.#signals, signal]);
  }

  async get<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return (await this.#call({ method: "GET", path: pathOf(type, name) }, options)) as T;
    } catch (error) {
      if (isKubeError(error, "NOT_FOUND")) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#listPages<T>(type, options);
      } catch (error) {
        // The token of the next page expired with the snapshot that it pointed into.
        if (!isKubeError(error, "GONE") || tries === listTriesMax) throw error;
      }
    }
  }

  async #listPages<T extends KubeObject>(type: ResourceType, options: ListOptions) {
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const path = `${pathOf(type, options)}${query({ ...selectors(options), limit: pageObjects, continue: next })}`;
      const page = (await this.#call({ method: "GET", path }, options)) as {
        items?: T[] | null;
        metadata: { resourceVersion: string; continue?: string };
      };
      // Items of a list carry neither kind nor apiVersion.
      for (const item of page.items ?? []) items.push(identified(type, item));
      next = page.metadata.continue;
      if (!next) return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  create<T extends KubeObject>(type: ResourceType, object: T, options: CallOptions = {}): Promise<T> {
    const path = pathOf(type, { namespace: object.metadata.namespace });
    return this.#write({ method: "POST", path: `${path}${query(strict(fieldManager))}` }, object, options);
  }

  replace<T extends KubeObject>(type: ResourceType, object: T, options: CallOptions = {}): Promise<T> {
    const path = `${pathOf(type, object.metadata)}${query(strict(fieldManager))}`;
    return this.#write({ method: "PUT", path }, object, options);
  }

  apply<T extends KubeObject>(type: ResourceType, object: T, options: CallOptions = {}): Promise<T> {
    const path = `${pathOf(type, object.metadata)}${query({ ...strict(fieldManager), force: true })}`;
    return this.#write({ method: "PATCH", path, contentType: "application/apply-patch+yaml" }, object, options);
  }

  applyStatus<T extends KubeObject>(type: ResourceType, object: T, options: CallOptions = {}): Promise<T> {
    const at = { ...object.metadata, subresource: "status" };
    const path = `${pathOf(type, at)}${query({ ...strict(statusFieldManager), force: true })}`;
    return this.#write({ method: "PATCH", path, contentType: "application/apply-patch+yaml" }, object, options);
  }

  patch<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    patch: Record<string, unknown>,
    options: CallOptions = {},
  ): Promise<T> {
    const path = `${pathOf(type, name)}${query(strict(fieldManager))}`;
    return this.#write({ method: "PATCH", path, contentType: "application/merge-patch+json" }, patch, options);
  }

  async delete(type: ResourceType, name: ObjectName, options: DeleteOptions): Promise<boolean> {
    const { uid, resourceVersion, propagation, gracePeriodSeconds } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions: { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
      propagationPolicy: propagation ?? "Background",
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    };
    try {
      await this.#write({ method: "DELETE", path: pathOf(type, name) }, body, options);
      return true;
    } catch (error) {
      if (isKubeError(error, "NOT_FOUND")) return false;
      throw error;
    }
  }

  async evict(pod: ObjectName, options: { uid: string } & CallOptions): Promise<void> {
    const path = pathOf(resourceTypes.pod, { ...pod, subresource: "eviction" });
    const body = {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: pod,
      deleteOptions: { preconditions: { uid: options.uid } },
    };
    // Too many requests is the answer of a PodDisruptionBudget here, which waiting inside a call does not change.
    await this.#write({ method: "POST", path }, body, { ...options, waitsMax: 0 });
  }

  /**
   * Events after `resourceVersion` until the server or `signal` ends it. Throws GONE when that revision is compacted.
   * What comes is passed on as it comes: order, repetition and silence are the informer's business.
   */
  async *watch(type: ResourceType, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { resourceVersion, timeoutSeconds, signal } = options;
    const parameters = { watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds };
    const path = `${pathOf(type, options)}${query({ ...selectors(options), ...parameters })}`;
    const linked = linkSignals([...this.#signals, signal]);
    const call: HttpCall = { method: "GET", path, signal: linked.signal, deadlineMs };
    try {
      const message = await this.#counted(call, async (endpoint) => {
        const opened = await stream(endpoint, call, this.#needs.clock);
        return { status: opened.statusCode ?? 0, value: opened };
      });
      yield* readWatch(message, `watch ${type.plural}`);
    } finally {
      linked.unlink();
    }
  }

  async #write<T>(call: Omit<HttpCall, "deadlineMs">, body: unknown, options: CallOptions & { waitsMax?: number }) {
    this.#needs.failpoints.pass("before-write");
    const answer = (await this.#call({ ...call, body: JSON.stringify(body) }, options)) as T;
    this.#needs.failpoints.pass("after-write");
    return answer;
  }

  async #call(init: Omit<HttpCall, "deadlineMs">, options: CallOptions & { waitsMax?: number }): Promise<unknown> {
    const linked = linkSignals([...this.#signals, options.signal]);
    try {
      return await this.#callUntil({ ...init, signal: linked.signal }, options);
    } finally {
      linked.unlink();
    }
  }

  /** One call with its waits for Retry-After, inside one deadline. */
  async #callUntil(init: Omit<HttpCall, "deadlineMs">, options: { deadlineMs?: number; waitsMax?: number }) {
    const { clock } = this.#needs;
    const endsMs = clock.now() + (options.deadlineMs ?? deadlineMs);
    const shown = `${init.method} ${init.path}`;
    let distrusted = false;
    let stale = false;
    for (let waits = 0; ; ) {
      const call = { ...init, deadlineMs: Math.max(1, endsMs - clock.now()) };
      try {
        return readAnswer(await this.#exchange(call), shown);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.code === "UNAUTHENTICATED" && !distrusted) {
          distrusted = true;
          this.#needs.connection.distrust();
          continue;
        }
        if (error.reason === staleConnection && init.method === "GET" && !stale) {
          stale = true;
          continue;
        }
        const waitMs = waitMsAfter(error);
        if (waitMs === undefined || waits >= (options.waitsMax ?? waitsMax)) throw error;
        if (clock.now() + waitMs >= endsMs) throw error;
        waits++;
        await delay(clock, waitMs, init.signal).catch((cause) => {
          throw new KubeError("ABORTED", `${shown} was ended`, { cause });
        });
      }
    }
  }

  #exchange(call: HttpCall): Promise<Answer> {
    return this.#counted(call, async (endpoint) => {
      const answer = await exchange(endpoint, call, this.#needs.clock);
      return { status: answer.status, value: answer };
    });
  }

  async #counted<V>(
    call: HttpCall,
    send: (endpoint: Awaited<ReturnType<Connection["endpoint"]>>) => Promise<{ status: number; value: V }>,
  ): Promise<V> {
    const { connection, clock, metrics } = this.#needs;
    const startedMs = clock.now();
    try {
      const { status, value } = await send(await endpointOf(connection));
      metrics.calls.inc({ method: call.method, code: String(status) });
      return value;
    } catch (error) {
      metrics.calls.inc({ method: call.method, code: isKubeError(error) ? error.code : "ERROR" });
      throw error;
    } finally {
      metrics.callSeconds.observe({ method: call.method }, (clock.now() - startedMs) / 1000);
    }
  }
}

async function endpointOf(connection: Connection) {
  try {
    return await connection.endpoint();
  } catch (cause) {
    throw new KubeError("NETWORK", `the credentials cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** How long to wait when the answer says that nothing was done and when to come back. */
function waitMsAfter(error: KubeError): number | undefined {
  if (error.code === "TOO_MANY_REQUESTS" || error.status === 503) return error.retryAfterMs;
  return undefined;
}

function identified<T extends KubeObject>(type: ResourceType, item: T): T {
  const apiVersion = type.group === "" ? type.version : `${type.group}/${type.version}`;
  return { ...item, apiVersion, kind: type.kind };
}

function strict(manager: string): Query {
  return { fieldManager: manager, fieldValidation: "Strict" };
}

function selectors({ labelSelector, fieldSelector }: { labelSelector?: string; fieldSelector?: string }): Query {
  return { labelSelector, fieldSelector };
}

function query(parameters: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}
