// Many federations in one process: which namespaces hold one, which of them this replica leads, and whose turn it is.
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import type { Images } from "../backends/kubernetes/fleet.ts";
import { leaseName } from "../backends/kubernetes/names.ts";
import type { EventSink, Leadership, Log, Outcome } from "../runtime/api.ts";
import type { Applier } from "../runtime/applier.ts";
import type { RawClient } from "../runtime/client.ts";
import { Expectations } from "../runtime/expectations.ts";
import type { InformerSettings } from "../runtime/informer.ts";
import { isKubeError } from "../runtime/kube-error.ts";
import { LeaderElector } from "../runtime/leader-elector.ts";
import type { RuntimeMetrics } from "../runtime/metrics.ts";
import { resourceTypes } from "../runtime/resource-types.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import { Caches } from "./caches.ts";
import { ExpectingClient } from "./expecting-client.ts";
import { FederationController } from "./federation.ts";
import { letGo } from "./let-go.ts";

export interface ManagerNeeds {
  client: RawClient;
  applier: Applier;
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  events: EventSink;
  log: Log;
  /** Default: informerDefaults. */
  informers?: Partial<InformerSettings>;
}

export interface ManagerSettings {
  /** Empty: all. */
  namespaces: readonly string[];
  /** Whose boxes are run from here. */
  cluster: string;
  images: Images;
  /** Of this process: never the same twice. */
  identity: string;
  /** As FederationNeeds has it; absent in a cluster. */
  adminEndpoint?: (box: string) => string;
}

/** Changes that come together are looked at together, ms. */
const gatherMs = 30;
/** Between two looks whether the caches of a new leader have caught up, ms. */
const catchUpMs = 300;
/** Between two looks at a namespace that another operator leads and that may be ending, ms. */
const lookAgainMs = 10_000;

interface Office {
  controller: FederationController;
  leadership: Leadership;
  /** Uid of the namespace whose federation it knows; undefined while nobody has told. */
  namespaceUid: string | undefined;
  /** The caches were seen to show what the server had when the office was taken, or later. */
  current: boolean;
}

interface Federation {
  elector: LeaderElector;
  office: Office | undefined;
}

export class Manager {
  readonly #needs: ManagerNeeds;
  readonly #settings: ManagerSettings;
  /** By namespace; "" watches all. */
  readonly #caches = new Map<string, Caches>();
  readonly #federations = new Map<string, Federation>();
  readonly #queue: WorkQueue;
  readonly #ledger: Expectations;
  readonly #stopping = new AbortController();

  constructor(settings: ManagerSettings, needs: ManagerNeeds) {
    this.#settings = settings;
    this.#needs = needs;
    for (const namespace of settings.namespaces) this.#caches.set(namespace, new Caches(needs, namespace));
    if (settings.namespaces.length === 0) this.#caches.set("", new Caches(needs, undefined));
    this.#ledger = new Expectations(needs);
    const reconcile = (namespace: string, signal: AbortSignal) => this.#reconcile(namespace, signal);
    this.#queue = new WorkQueue({ name: "federation", reconcile }, needs);
  }

  /** All caches were filled once. */
  get ready(): boolean {
    return [...this.#caches.values()].every((caches) => caches.synced);
  }

  /** Namespaces whose lease this process holds. */
  get leads(): string[] {
    return [...this.#federations].flatMap(([namespace, { office }]) => (office ? [namespace] : []));
  }

  /** Resolves when the caches are filled; federations are found from then on. */
  async start(): Promise<void> {
    for (const caches of this.#caches.values()) caches.start((namespace) => this.#changed(namespace));
    await Promise.all([...this.#caches.values()].map((caches) => caches.waitSynced(this.#stopping.signal)));
    this.#queue.start();
    this.#discover();
  }

  /** Ends the work in hand and gives the leases back. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("the operator stops"));
    await Promise.all([...this.#federations.values()].map(({ elector }) => elector.stop()));
    await this.#queue.stop();
    await Promise.all([...this.#caches.values()].map((caches) => caches.stop()));
  }

  #changed(namespace: string): void {
    if (!this.ready) return;
    if (namespace === "") {
      for (const each of this.#federations.keys()) this.#queue.addAfter(each, gatherMs);
      return;
    }
    if (!this.#federations.has(namespace)) this.#discover();
    if (this.#federations.has(namespace)) this.#queue.addAfter(namespace, gatherMs);
  }

  #cachesOf(namespace: string): Caches | undefined {
    return this.#caches.get(namespace) ?? this.#caches.get("");
  }

  #discover(): void {
    if (this.#stopping.signal.aborted) return;
    for (const caches of this.#caches.values())
      for (const namespace of caches.federations()) if (!this.#federations.has(namespace)) this.#campaign(namespace);
  }

  #campaign(namespace: string): void {
    const { client, clock, random, metrics, log } = this.#needs;
    const work = {
      lead: (leadership: Leadership) => this.#takeOffice(namespace, leadership),
      ended: () => this.#leaveOffice(namespace),
    };
    const init = { lease: { namespace, name: leaseName }, identity: this.#settings.identity, work };
    const elector = new LeaderElector(init, { client, clock, random, metrics, log });
    this.#federations.set(namespace, { elector, office: undefined });
    elector.start();
    this.#queue.add(namespace);
  }

  #takeOffice(namespace: string, leadership: Leadership): void {
    const federation = this.#federations.get(namespace);
    if (federation === undefined) return;
    const controller = this.#controllerOf(namespace, leadership);
    federation.office = { controller, leadership, namespaceUid: undefined, current: false };
    this.#needs.log.info({ namespace, identity: this.#settings.identity }, "leads the federation");
    this.#queue.add(namespace);
  }

  #controllerOf(namespace: string, leadership: Leadership): FederationController {
    const { client, applier, clock, random, events, log } = this.#needs;
    const { images, cluster, adminEndpoint } = this.#settings;
    const expecting = new ExpectingClient({
      client: client.bound(leadership.signal),
      ledger: this.#ledger,
      key: namespace,
      informerOf: (type) => this.#cachesOf(namespace)?.informerOf(type),
    });
    return new FederationController({
      namespace,
      client: expecting,
      applier: applier.through(expecting),
      view: () => this.#cachesOf(namespace)!.view(namespace),
      clock,
      random,
      events,
      log,
      images,
      cluster,
      adminEndpoint,
      wake: () => this.#queue.add(namespace),
    });
  }

  /**
   * A namespace that ended and was made again under its name holds another federation, although this replica may have kept
   * the lease: what is known of the former one (that it was started, its authority) must not be believed of it.
   */
  async #beginAnew(namespace: string, office: Office): Promise<void> {
    office.controller.close();
    await office.controller.idle();
    this.#ledger.forget(namespace);
    // Whoever left the office meanwhile closed what there was.
    if (!office.leadership.held()) return;
    office.controller = this.#controllerOf(namespace, office.leadership);
    office.namespaceUid = undefined;
    office.current = false;
    this.#needs.log.info({ namespace }, "the namespace was made again: what was known of it is forgotten");
  }

  async #leaveOffice(namespace: string): Promise<void> {
    const federation = this.#federations.get(namespace);
    const office = federation?.office;
    if (federation === undefined || office === undefined) return;
    federation.office = undefined;
    office.controller.close();
    await office.controller.idle();
    this.#ledger.forget(namespace);
    this.#needs.log.info({ namespace }, "leads the federation no more");
  }

  async #reconcile(namespace: string, signal: AbortSignal): Promise<Outcome> {
    const office = this.#federations.get(namespace)?.office;
    const isEnding = this.#cachesOf(namespace)?.isEnding(namespace) === true;
    if (isEnding || office === undefined || !office.leadership.held()) return this.#letGo(namespace);
    const uid = this.#cachesOf(namespace)?.uidOf(namespace);
    if (uid !== undefined && office.namespaceUid !== undefined && uid !== office.namespaceUid)
      await this.#beginAnew(namespace, office);
    office.namespaceUid = uid ?? office.namespaceUid;
    // A replica that waited in the wings may have missed everything: what it shows may have been undone long since.
    office.current ||= await this.#cachesOf(namespace)!.areCurrent(namespace, this.#needs.client);
    if (!office.current) return { kind: "retry", afterMs: catchUpMs, reason: "the caches are behind the server" };
    const written = this.#ledger.check(namespace);
    if (written.kind === "pending") return { kind: "retry", afterMs: written.retryAfterMs, reason: written.what };
    return office.controller.reconcile(AbortSignal.any([signal, office.leadership.signal]));
  }

  /**
   * In a namespace that ends nobody can take a lease that is gone: an operator that comes then would hold its objects for
   * ever. To let go of them needs no lease, since every replica does the same. They are looked at live: a namespace may lose
   * the operator's rights to watch before its boxes.
   */
  async #letGo(namespace: string): Promise<Outcome> {
    const caches = this.#cachesOf(namespace);
    if (caches === undefined) return { kind: "done" };
    if (!caches.isEnding(namespace)) {
      const { own } = caches.view(namespace);
      if (!own.some(({ metadata }) => metadata.deletionTimestamp !== undefined)) return { kind: "done" };
      if (!(await this.#isEnding(namespace)))
        return { kind: "retry", afterMs: lookAgainMs, reason: "another operator may hold what is deleted here" };
    }
    await letGo(this.#needs.client, [namespace]);
    return { kind: "done" };
  }

  /** A live look, for an operator that may not watch namespaces. */
  async #isEnding(namespace: string): Promise<boolean> {
    try {
      const found = await this.#needs.client.get(resourceTypes.namespace, { name: namespace });
      return found?.metadata.deletionTimestamp !== undefined;
    } catch (error) {
      if (isKubeError(error, "FORBIDDEN")) return false;
      throw error;
    }
  }
}
