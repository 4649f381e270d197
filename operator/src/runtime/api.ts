// The runtime: how the operator reads and writes a Kubernetes API server. The problem: a controller must act on what is
// true, exactly once, while watches die, caches lag, writes are lost in between and a second operator wakes up. Why not
// client-node's informer and typed calls: the informer stops for good on the first network error and hides that an object
// was deleted and made again; the typed calls drop fields they do not know. The sketch: a raw JSON client (client.ts) on
// client-node's configuration (authentication, TLS, transport), a cache that heals itself (informer.ts), a queue of names
// (work-queue.ts), a ledger of writes that the cache has yet to show (expectations.ts), and a lease that says who may act
// (leader-elector.ts). What they offer to controllers stands here; each is tested alone on a virtual clock, and against a
// real API server behind a proxy of faults (e2e/kube-api).
import type { KubeObject, ObjectName } from "./objects.ts";
import type { ResourceType } from "./resource-types.ts";

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with ABORTED. */
  signal?: AbortSignal;
  /** For the whole call, answer included; default 30 s. */
  deadlineMs?: number;
}

export interface ListOptions extends CallOptions {
  /** Absent: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface DeleteOptions extends CallOptions {
  /** The delete is refused with CONFLICT for any other object under this name. */
  uid: string;
  /** The delete is refused with CONFLICT when the object has changed since. */
  resourceVersion?: string;
  propagation?: "Background" | "Foreground" | "Orphan";
  gracePeriodSeconds?: number;
}

/**
 * JSON in, JSON out. Every method throws KubeError. All writes are made with fieldValidation=Strict: a misspelt field is
 * INVALID, not dropped. 429 and 503 with Retry-After are retried within the call's deadline when the answer proves that
 * nothing was done; everything else is the caller's to retry, after it has read again.
 */
export interface KubeClient {
  /** Live, never from a cache. Undefined when there is none. */
  get<T extends KubeObject>(type: ResourceType, name: ObjectName, options?: CallOptions): Promise<T | undefined>;
  /** All of them, paged inside, in one consistent snapshot. */
  list<T extends KubeObject>(
    type: ResourceType,
    options?: ListOptions,
  ): Promise<{ items: T[]; resourceVersion: string }>;
  create<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T>;
  /** PUT: CONFLICT unless `object.metadata.resourceVersion` is the current one. */
  replace<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T>;
  /**
   * Server-side apply of the fields that the operator decides on (field manager `nexus-operator`, forced). With
   * `metadata.uid` in `object` it never creates: CONFLICT when the object is another one by now, and with
   * `metadata.resourceVersion` when it has changed.
   */
  apply<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T>;
  /** The same for the status subresource (field manager `nexus-operator-status`). */
  applyStatus<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T>;
  /** JSON merge patch: null removes. Put uid and resourceVersion into `patch.metadata` to guard it. */
  patch<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    patch: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<T>;
  /** True when deletion is under way or done; false when nothing stands under the name. CONFLICT as DeleteOptions say. */
  delete(type: ResourceType, name: ObjectName, options: DeleteOptions): Promise<boolean>;
  /** pods/eviction with a uid precondition. TOO_MANY_REQUESTS when a PodDisruptionBudget holds it back. */
  evict(pod: ObjectName, options: { uid: string } & CallOptions): Promise<void>;
  /** The same client whose calls all end when `signal` does, and are refused from then on: what a leader's work goes through. */
  bound(signal: AbortSignal): KubeClient;
}

/** One change of one object, as the cache took it. Objects are deep-frozen. */
export type CacheEvent<T extends KubeObject = KubeObject> =
  | { kind: "added"; object: T }
  | { kind: "updated"; object: T; before: T }
  /** `object` is the last state that was seen, which may miss the final changes. */
  | { kind: "deleted"; object: T };

/**
 * A cache of one resource type that follows the server. An object deleted and made again between two looks is seen as
 * `deleted`, then `added`. Objects are deep-frozen and shared.
 */
export interface Informer<T extends KubeObject = KubeObject> {
  readonly type: ResourceType;
  /** The first list is complete. Stays true. */
  readonly synced: boolean;
  /** Everything up to this revision is in the cache. Empty before the first list. */
  readonly resourceVersion: string;
  start(): void;
  /** No event comes afterwards. */
  stop(): Promise<void>;
  /** Resolves at the first complete list; rejects with the signal's reason. */
  waitSynced(signal?: AbortSignal): Promise<void>;
  get(name: ObjectName): T | undefined;
  list(namespace?: string): T[];
  /** Objects for which the index function of that name (given to the constructor) returned `value`. */
  byIndex(index: string, value: string): T[];
  /**
   * Called for every change, after the cache shows it, in order per object; objects already there come first as `added`.
   * A handler that throws is logged and counted, and called again for the next event. Returns how to unsubscribe.
   */
  onChange(handler: (event: CacheEvent<T>) => void): () => void;
  /** Lists again now: what a caller asks for that waits for a write too long. */
  relist(): void;
}

/** How one reconcile ended. An exception counts as `retry` with backoff. */
export type Outcome =
  /** Nothing more to do until something changes. */
  | { kind: "done" }
  /** Do it again after `afterMs`, or after the key's own backoff. */
  | { kind: "retry"; afterMs?: number; reason: string }
  /** Only a change of the object can help: not tried again by itself. */
  | { kind: "failed"; reason: string };

/**
 * Names of objects to look at. A key that is added while it waits is not queued twice; while it is worked on, it is
 * worked on once more afterwards; no key is ever worked on twice at the same time.
 */
export interface Queue {
  add(key: string): void;
  /** Adds the key after `delayMs`; the earliest of several wins. */
  addAfter(key: string, delayMs: number): void;
  /** Keys that wait to be worked on now. */
  readonly depth: number;
  start(): void;
  /** Aborts the signal of running reconciles and resolves when they have ended. The keys that wait are dropped. */
  stop(): Promise<void>;
}

/** Writes that the cache has yet to show: a key whose last write it does not show is not reconciled on an old view. */
export interface ExpectationLedger {
  /** After a create, apply or patch: hold `key` until `informer` has seen `written`'s revision. */
  written(key: string, informer: Informer, written: KubeObject): void;
  /** After a delete: hold `key` until the informer shows that uid no more, or with a deletionTimestamp. */
  deleted(key: string, informer: Informer, object: KubeObject): void;
  /** Whether the key may be reconciled now; if not, when to ask again. Overdue writes make their informer list anew. */
  check(key: string): { kind: "met" } | { kind: "pending"; retryAfterMs: number; what: string };
  /** The key's object is gone. */
  forget(key: string): void;
}

/** One time in office. */
export interface Leadership {
  /** Aborted when the lease is lost, at least 5 s before anybody else can hold it. Its reason says why. */
  readonly signal: AbortSignal;
  /**
   * Whether the lease is still ours by the monotonic clock; false at once after a pause of the process, before any
   * timer fires.
   */
  held(): boolean;
}

export interface Elector {
  /** Who holds the lease as far as is known; empty when nobody is known to. */
  readonly holder: string;
  readonly isLeader: boolean;
  start(): void;
  /** Ends the work in hand, then gives the lease back so that another need not wait for its end. */
  stop(): Promise<void>;
}

/** What an elector is for. */
export interface LeaderWork {
  /** Called when the lease is won: start working until `leadership.signal` aborts. */
  lead(leadership: Leadership): void;
  /** Called when the lease is lost or given back; resolves when nothing is under way any more. */
  ended(): Promise<void>;
}

/** An entry of the object's event list, as `kubectl describe` shows it. */
export interface EventNote {
  type: "Normal" | "Warning";
  /** One CamelCase word for machines, at most 128 characters: why. */
  reason: string;
  /** One CamelCase word: what the operator did, such as `Promote`. */
  action: string;
  /** One sentence for people, cut at 1,024 characters. */
  message: string;
}

export interface EventSink {
  /** Never throws, never waits. The same note about the same object is counted, not written again. */
  record(about: KubeObject, note: EventNote): void;
}

/** Of pino's logger what the runtime uses: fields first, then a constant message. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
