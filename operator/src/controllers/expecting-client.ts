import type {
  CallOptions,
  DeleteOptions,
  ExpectationLedger,
  Informer,
  KubeClient,
  ListOptions,
} from "../runtime/api.ts";
import type { KubeObject, ObjectName } from "../runtime/objects.ts";
import type { ResourceType } from "../runtime/resource-types.ts";

export interface ExpectingNeeds {
  client: KubeClient;
  ledger: ExpectationLedger;
  /** What is held until the caches show the writes. */
  key: string;
  /** The cache of a type; undefined where there is none, and nobody decides on an old view. */
  informerOf: (type: ResourceType) => Informer | undefined;
}

/** A client whose every write is entered in the ledger: its user decides nothing more before the caches show it. */
export class ExpectingClient implements KubeClient {
  readonly #needs: ExpectingNeeds;

  constructor(needs: ExpectingNeeds) {
    this.#needs = needs;
  }

  get<T extends KubeObject>(type: ResourceType, name: ObjectName, options?: CallOptions): Promise<T | undefined> {
    return this.#needs.client.get<T>(type, name, options);
  }

  list<T extends KubeObject>(
    type: ResourceType,
    options?: ListOptions,
  ): Promise<{ items: T[]; resourceVersion: string }> {
    return this.#needs.client.list<T>(type, options);
  }

  create<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T> {
    return this.#written(type, this.#needs.client.create(type, object, options));
  }

  replace<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T> {
    return this.#written(type, this.#needs.client.replace(type, object, options));
  }

  apply<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T> {
    return this.#written(type, this.#needs.client.apply(type, object, options));
  }

  applyStatus<T extends KubeObject>(type: ResourceType, object: T, options?: CallOptions): Promise<T> {
    return this.#written(type, this.#needs.client.applyStatus(type, object, options));
  }

  patch<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    patch: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<T> {
    return this.#written(type, this.#needs.client.patch<T>(type, name, patch, options));
  }

  async delete(type: ResourceType, name: ObjectName, options: DeleteOptions): Promise<boolean> {
    const { client, ledger, key, informerOf } = this.#needs;
    const begun = await client.delete(type, name, options);
    const informer = informerOf(type);
    const cached = informer?.get(name);
    if (informer !== undefined && cached?.metadata.uid === options.uid) ledger.deleted(key, informer, cached);
    return begun;
  }

  evict(pod: ObjectName, options: { uid: string } & CallOptions): Promise<void> {
    return this.#needs.client.evict(pod, options);
  }

  bound(signal: AbortSignal): KubeClient {
    return new ExpectingClient({ ...this.#needs, client: this.#needs.client.bound(signal) });
  }

  async #written<T extends KubeObject>(type: ResourceType, write: Promise<T>): Promise<T> {
    const { ledger, key, informerOf } = this.#needs;
    const object = await write;
    const informer = informerOf(type);
    // A patch that takes the last finalizer off an object that is being deleted answers with an object that is gone.
    const gone = object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0;
    if (informer === undefined) return object;
    if (gone) ledger.deleted(key, informer, object);
    else ledger.written(key, informer, object);
    return object;
  }
}
