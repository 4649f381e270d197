// The operator whole, as its process has it: lease, queue, caches and controller; only its images and the way to the boxes
// are this machine's.
import { randomUUID } from "node:crypto";
import { Manager } from "@nexus-federation/operator/controllers/manager.ts";
import { Applier } from "@nexus-federation/operator/runtime/applier.ts";
import { EventRecorder } from "@nexus-federation/operator/runtime/events.ts";
import type { InformerSettings } from "@nexus-federation/operator/runtime/informer.ts";
import { eventually, type Side } from "./api.ts";
import type { Living } from "./living.ts";

/** So short that a run sees several of each. */
const informers = { backoff: { firstMs: 50, maxMs: 400 }, stallMs: 4_000, watchSeconds: 20 };

export class OperatorRun {
  readonly manager: Manager;
  readonly #namespace: string;
  readonly #events: EventRecorder;

  /** `near` may go through a proxy of faults; `more` are settings of its caches. */
  constructor(near: Side, living: Living, more: Partial<InformerSettings> = {}) {
    this.#namespace = living.namespace;
    const { adminEndpoint, namespace } = living;
    const images = { node: "nexus-node:1", witness: "nexus-witness:1", pullSecrets: [] };
    const identity = `test_${randomUUID()}`;
    this.#events = new EventRecorder(identity, near);
    this.manager = new Manager(
      { namespaces: [namespace], cluster: "default", images, identity, adminEndpoint },
      { ...near, applier: new Applier(near), events: this.#events, informers: { ...informers, ...more } },
    );
  }

  async start(): Promise<this> {
    await this.manager.start();
    return this;
  }

  /** Resolves once it holds the lease. */
  async leading(): Promise<this> {
    await eventually("the lease", () => this.manager.leads.includes(this.#namespace), 120_000);
    return this;
  }

  async stop(): Promise<void> {
    await this.manager.stop();
    await this.#events.stop();
  }
}
