// One life of the operator's federation controller against the real API server, without an election before it. A crash is
// the end of every call of that life, to the API server and to boxes.
import type { NamespaceView } from "@nexus-federation/operator/backends/kubernetes/view.ts";
import { Caches } from "@nexus-federation/operator/controllers/caches.ts";
import { ExpectingClient } from "@nexus-federation/operator/controllers/expecting-client.ts";
import { FederationController } from "@nexus-federation/operator/controllers/federation.ts";
import { Applier } from "@nexus-federation/operator/runtime/applier.ts";
import { RawClient } from "@nexus-federation/operator/runtime/client.ts";
import { Expectations } from "@nexus-federation/operator/runtime/expectations.ts";
import type { Failpoints } from "@nexus-federation/operator/runtime/failpoints.ts";
import { eventually, type Side } from "./api.ts";

/** Rounds that wrote nothing, one after the other, after which nothing more is expected. */
const quietRounds = 3;

export interface LifeSettings {
  /** The life ends right after so many acts; absent: it is not cut short. */
  crashAfter?: number | undefined;
  /** Where boxes run that answer. */
  adminEndpoint?: (box: string) => string;
}

export class FederationRun {
  readonly #caches: Caches;
  readonly #controller: FederationController;
  readonly #ledger: Expectations;
  readonly #namespace: string;
  readonly #crashAfter: number | undefined;
  readonly #ended = new AbortController();
  /** Writes that the server answered, and deeds that boxes did, whichever there are: nobody lists them. */
  acts = 0;

  constructor(near: Side, namespace: string, settings: LifeSettings = {}) {
    this.#namespace = namespace;
    this.#crashAfter = settings.crashAfter;
    const failpoints = { pass: (name: string) => name === "after-write" && this.#act() } as unknown as Failpoints;
    const client = new RawClient({ ...near, failpoints }).bound(this.#ended.signal);
    this.#caches = new Caches(near, namespace);
    this.#ledger = new Expectations(near);
    const informerOf = (type: Parameters<Caches["informerOf"]>[0]) => this.#caches.informerOf(type);
    const expecting = new ExpectingClient({ client, ledger: this.#ledger, key: namespace, informerOf });
    this.#controller = new FederationController({
      ...near,
      namespace,
      client: expecting,
      applier: new Applier({ client: expecting, metrics: near.metrics }),
      view: () => this.view(),
      // Told of each deed, once it is done.
      events: { record: () => this.#act() },
      images: { node: "nexus-node:1", witness: "nexus-witness:1", pullSecrets: [] },
      cluster: "default",
      wake: () => undefined,
      adminEndpoint: settings.adminEndpoint,
    });
  }

  get crashed(): boolean {
    return this.#ended.signal.aborted;
  }

  view(): NamespaceView {
    return this.#caches.view(this.#namespace);
  }

  async start(): Promise<this> {
    this.#caches.start(() => undefined);
    await this.#caches.waitSynced();
    return this;
  }

  /** Rounds until `reached` and nothing is written any more, or until the crash. */
  async settle(reached: () => Promise<boolean> | boolean = () => true): Promise<void> {
    for (let quiet = 0; quiet < quietRounds || !(await reached()); ) {
      await eventually("the caches show the last round", () => this.#ledger.check(this.#namespace).kind === "met");
      const before = this.acts;
      try {
        await this.#controller.reconcile(new AbortController().signal);
        await this.#controller.idle();
      } catch (error) {
        if (this.crashed) return;
        throw error;
      }
      if (this.crashed) return;
      quiet = this.acts === before ? quiet + 1 : 0;
    }
  }

  /** As when the process is gone. */
  async stop(): Promise<void> {
    this.#ended.abort(new Error("stopped"));
    this.#controller.close();
    await this.#controller.idle();
    await this.#caches.stop();
  }

  #act(): void {
    if (this.crashed) return;
    this.acts++;
    if (this.acts !== this.#crashAfter) return;
    this.#ended.abort(new Error("crashed here"));
    this.#controller.close();
  }
}
