// One life of the operator's federation controller against the real API server, without an election before it and without
// pods behind it: what it makes of the resources of a namespace. A crash is the end of every call of that life.
import type { NamespaceView } from "@nexus-federation/operator/backends/kubernetes/view.ts";
import { Caches } from "@nexus-federation/operator/controllers/caches.ts";
import { ExpectingClient } from "@nexus-federation/operator/controllers/expecting-client.ts";
import { FederationController } from "@nexus-federation/operator/controllers/federation.ts";
import { Applier } from "@nexus-federation/operator/runtime/applier.ts";
import { RawClient } from "@nexus-federation/operator/runtime/client.ts";
import { Expectations } from "@nexus-federation/operator/runtime/expectations.ts";
import { Failpoints } from "@nexus-federation/operator/runtime/failpoints.ts";
import { eventually, type Side } from "./api.ts";

/** Rounds that wrote nothing, one after the other, after which nothing more is expected. */
const quietRounds = 3;

export class FederationRun {
  readonly #caches: Caches;
  readonly #controller: FederationController;
  readonly #ledger: Expectations;
  readonly #namespace: string;
  readonly #ended = new AbortController();
  /** Writes that reached the server, in order, as `METHOD path`. */
  writes = 0;

  /** `failpoint` as in NEXUS_FAILPOINT. */
  constructor(near: Side, namespace: string, failpoint?: string) {
    this.#namespace = namespace;
    const failpoints = new Failpoints(failpoint, () => this.#ended.abort(new Error("crashed here")));
    const counting = {
      pass: (name: string) => {
        if (name === "before-write" && !this.crashed) this.writes++;
        failpoints.pass(name);
      },
    } as Failpoints;
    const client = new RawClient({ ...near, failpoints: counting }).bound(this.#ended.signal);
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
      events: { record: () => undefined },
      images: { node: "nexus-node:1", witness: "nexus-witness:1", pullSecrets: [] },
      cluster: "default",
      wake: () => undefined,
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

  /** Rounds until nothing is written any more, or until the crash. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < quietRounds; ) {
      await eventually("the caches show the last round", () => this.#ledger.check(this.#namespace).kind === "met");
      const before = this.writes;
      try {
        await this.#controller.reconcile(new AbortController().signal);
      } catch (error) {
        if (this.crashed) return;
        throw error;
      }
      if (this.crashed) return;
      quiet = this.writes === before ? quiet + 1 : 0;
    }
  }

  /** As when the process is gone. */
  async stop(): Promise<void> {
    this.#ended.abort(new Error("stopped"));
    this.#controller.close();
    await this.#controller.idle();
    await this.#caches.stop();
  }
}
