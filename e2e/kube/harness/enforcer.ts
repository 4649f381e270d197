// Keeps the packet filters of the nodes as the NetworkPolicies say, as a network plugin does that enforces them.
import { KubeConfig } from "@kubernetes/client-node";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { RawClient } from "@nexus-federation/operator/runtime/client.ts";
import { Connection } from "@nexus-federation/operator/runtime/connection.ts";
import { noFailpoints } from "@nexus-federation/operator/runtime/failpoints.ts";
import { SharedInformer } from "@nexus-federation/operator/runtime/informer.ts";
import { createRuntimeMetrics } from "@nexus-federation/operator/runtime/metrics.ts";
import { type ResourceType, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { Registry } from "prom-client";
import type { Cluster } from "../../cluster/cluster.ts";
import { must, until } from "../../cluster/programs.ts";
import { chain, filterRules, type Pod, type Policy } from "./policies.ts";

const networkPolicy: ResourceType = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  namespaced: true,
};
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export class Enforcer {
  readonly #nodes: readonly string[];
  readonly #connection: Connection;
  readonly #pods: SharedInformer;
  readonly #namespaces: SharedInformer;
  readonly #policies: SharedInformer;
  /** What the nodes have. */
  #inForce = "";
  #work: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** Why the last turn failed. */
  #trouble = "";

  private constructor(cluster: Cluster) {
    this.#nodes = cluster.facts.nodes;
    const load = () => {
      const config = new KubeConfig();
      config.loadFromFile(cluster.kubeconfig);
      return config;
    };
    this.#connection = new Connection(load, systemClock);
    const metrics = createRuntimeMetrics(new Registry());
    const parts = { connection: this.#connection, clock: systemClock, metrics };
    const client = new RawClient({ ...parts, failpoints: noFailpoints });
    const needs = { client, clock: systemClock, random: systemRandom, metrics, log: silent };
    const of = (type: ResourceType) => new SharedInformer({ type }, needs);
    this.#pods = of(resourceTypes.pod);
    this.#namespaces = of(resourceTypes.namespace);
    this.#policies = of(networkPolicy);
  }

  /** Nodes are containers that this machine can enter; what their filters had besides is left as it is. */
  static async start(cluster: Cluster): Promise<Enforcer> {
    const enforcer = new Enforcer(cluster);
    const jump = `iptables -w -N ${chain} 2> /dev/null; iptables -w -C FORWARD -j ${chain} 2> /dev/null || iptables -w -I FORWARD 1 -j ${chain}`;
    // Pods of one node are joined by a bridge, whose packets are to be seen as well.
    const bridge = "test $(cat /proc/sys/net/bridge/bridge-nf-call-iptables) = 1";
    for (const node of cluster.facts.nodes) await must(["docker", "exec", node, "sh", "-c", `${jump}; ${bridge}`]);
    for (const informer of enforcer.#informers()) {
      informer.onChange(() => enforcer.#look());
      informer.start();
    }
    await Promise.all(enforcer.#informers().map((informer) => informer.waitSynced()));
    enforcer.#look();
    return enforcer;
  }

  /** Resolves once what the API server showed so far is in force on every node. */
  async settled(policies: number): Promise<void> {
    const is = async () => this.#policies.list().length === policies && this.#rules() === this.#inForce;
    await until(`${policies} policies in force`, is, { withinMs: 60_000, why: () => this.#trouble });
  }

  /** Everything passes again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#informers().map((informer) => informer.stop()));
    await this.#work;
    this.#connection.close();
    const clear = `iptables -w -D FORWARD -j ${chain}; iptables -w -F ${chain}`;
    for (const node of this.#nodes) await must(["docker", "exec", node, "sh", "-c", clear]);
  }

  #informers(): SharedInformer[] {
    return [this.#pods, this.#namespaces, this.#policies];
  }

  #rules(): string {
    const pods = this.#pods.list() as Pod[];
    const policies = this.#policies.list() as Policy[];
    return filterRules({ pods, policies, namespaces: this.#namespaces.list() });
  }

  #look(): void {
    this.#again = true;
    this.#work ??= this.#enforce().finally(() => {
      this.#work = undefined;
      if (this.#again && !this.#stopped) this.#look();
    });
  }

  async #enforce(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      const load = ["iptables-restore", "--noflush", "-w"];
      try {
        const rules = this.#rules();
        if (rules === this.#inForce) continue;
        await Promise.all(this.#nodes.map((node) => must(["docker", "exec", "-i", node, ...load], { input: rules })));
        this.#inForce = rules;
      } catch (error) {
        this.#trouble = String(error);
      }
    }
  }
}
