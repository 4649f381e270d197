import { must } from "@nexus-federation/node/base/assert.ts";
import type { CacheEvent } from "./api.ts";
import { compareVersions, type KubeObject, keyOfObject } from "./objects.ts";

/** Values under which an object is found. */
export type IndexFunction<T> = (object: T) => readonly string[];

/**
 * Objects by key and by index, and what each event of a watch changes in them. Pure bookkeeping.
 * Invariant: every object of a key's index entries is the one that the key shows.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  /** The same objects by namespace; those of the whole cluster under "". No namespace without an object. */
  readonly #namespaces = new Map<string, Map<string, T>>();
  readonly #functions: Map<string, IndexFunction<T>>;
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  readonly #onIndexFault: (index: string, object: T, error: unknown) => void;

  /** An index function that throws puts the object under no value of that index. */
  constructor(
    functions: Record<string, IndexFunction<T>>,
    onIndexFault: (index: string, object: T, error: unknown) => void,
  ) {
    this.#functions = new Map(Object.entries(functions));
    this.#onIndexFault = onIndexFault;
    for (const name of this.#functions.keys()) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#objects.size;
  }
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }
  values(): IterableIterator<T> {
    return this.#objects.values();
  }
  /** Those of one namespace, without a look at the others. */
  inNamespace(namespace: string): Iterable<T> {
    return this.#namespaces.get(namespace)?.values() ?? [];
  }
  byIndex(index: string, value: string): T[] {
    const keys = must(this.#indexes.get(index), `the index ${index}`).get(value) ?? [];
    return [...keys].map((key) => must(this.#objects.get(key), `the indexed object ${key}`));
  }

  /** Makes the cache what a list says, and returns what that changed. */
  replace(items: readonly T[]): CacheEvent<T>[] {
    const events: CacheEvent<T>[] = [];
    const kept = new Set(items.map(keyOfObject));
    for (const [key, object] of this.#objects) if (!kept.has(key)) events.push(...this.#remove(key, object));
    for (const item of items) {
      const before = this.#objects.get(keyOfObject(item));
      if (before && isSameState(before, item)) continue;
      events.push(...this.#put(item, before));
    }
    return events;
  }

  /** Takes an ADDED or MODIFIED event: what it changed. */
  put(object: T): CacheEvent<T>[] {
    return this.#put(object, this.#objects.get(keyOfObject(object)));
  }

  /** Takes a DELETED event: what it changed. */
  remove(object: T): CacheEvent<T>[] {
    const key = keyOfObject(object);
    return this.#objects.has(key) ? this.#remove(key, object) : [];
  }

  /** Whether the cache already shows what this event says, or something newer. */
  shows(type: "ADDED" | "MODIFIED" | "DELETED", object: T): boolean {
    const cached = this.#objects.get(keyOfObject(object));
    if (type === "DELETED" && (!cached || cached.metadata.uid !== object.metadata.uid)) return true;
    if (!cached) return false;
    return compareVersions(versionOf(cached), versionOf(object)) >= 0;
  }

  #put(object: T, before: T | undefined): CacheEvent<T>[] {
    const key = keyOfObject(object);
    if (before && before.metadata.uid !== object.metadata.uid) {
      const removed = this.#remove(key, before);
      return [...removed, ...this.#put(object, undefined)];
    }
    if (before) this.#unindex(key, before);
    this.#objects.set(key, object);
    const namespace = object.metadata.namespace ?? "";
    const neighbours = this.#namespaces.get(namespace) ?? new Map<string, T>();
    this.#namespaces.set(namespace, neighbours.set(key, object));
    for (const [name, values] of this.#valuesOf(object)) {
      const index = must(this.#indexes.get(name), `the index ${name}`);
      for (const value of values) {
        const keys = index.get(value) ?? new Set();
        index.set(value, keys.add(key));
      }
    }
    return [before ? { kind: "updated", object, before } : { kind: "added", object }];
  }

  #remove(key: string, last: T): CacheEvent<T>[] {
    this.#unindex(key, must(this.#objects.get(key), `the cached object ${key}`));
    this.#objects.delete(key);
    const namespace = last.metadata.namespace ?? "";
    const neighbours = this.#namespaces.get(namespace);
    neighbours?.delete(key);
    if (neighbours?.size === 0) this.#namespaces.delete(namespace);
    return [{ kind: "deleted", object: last }];
  }

  #unindex(key: string, object: T): void {
    for (const [name, values] of this.#valuesOf(object)) {
      const index = must(this.#indexes.get(name), `the index ${name}`);
      for (const value of values) {
        const keys = index.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index.delete(value);
      }
    }
  }

  *#valuesOf(object: T): Generator<[string, readonly string[]]> {
    for (const [name, valuesOf] of this.#functions) {
      let values: readonly string[] = [];
      try {
        values = valuesOf(object);
      } catch (error) {
        this.#onIndexFault(name, object, error);
      }
      yield [name, values];
    }
  }
}

export function versionOf(object: KubeObject): string {
  return object.metadata.resourceVersion ?? "";
}

function isSameState(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && versionOf(a) === versionOf(b);
}
