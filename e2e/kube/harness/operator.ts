import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "yaml";
import { Cluster } from "../../cluster/cluster.ts";
import { until } from "../../cluster/programs.ts";
import type { ClusterContext } from "../../cluster/suite.ts";

const root = resolve(import.meta.dirname, "../../..");
const system = "nexus-system";

/** Rules of the operator as the chart gives them. */
const rules = (name: string) => parse(readFileSync(resolve(root, `charts/nexus/files/rbac/${name}.yaml`), "utf8"));

/** The operator with exactly the rights of the chart, and the resource definitions. */
export async function installOperator(context: ClusterContext): Promise<Cluster> {
  const cluster = new Cluster(context);
  await cluster.kubectl(["apply", "--server-side", "-f", resolve(root, "crds")]);
  const meta = { name: "nexus-operator", namespace: system };
  const rbac = "rbac.authorization.k8s.io";
  const items = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: system } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: meta },
    {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRole",
      metadata: { name: meta.name },
      rules: [...rules("federation"), ...rules("cluster")],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name: meta.name },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: meta.name },
      subjects: [{ kind: "ServiceAccount", ...meta }],
    },
    deployment(context),
  ];
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await cluster.kubectl(["apply", "--server-side", "-f", "-"], list);
  await cluster.kubectl(["-n", system, "rollout", "status", "deployment/nexus-operator", "--timeout=120s"]);
  return cluster;
}

function deployment({ images }: ClusterContext): object {
  const labels = { app: "nexus-operator" };
  const container = {
    name: "operator",
    image: images.operator,
    imagePullPolicy: "IfNotPresent",
    args: [`--node-image=${images.node}`, `--witness-image=${images.witness}`],
    readinessProbe: { httpGet: { path: "/readyz", port: 8080 }, periodSeconds: 1 },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "nexus-operator", namespace: system },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { serviceAccountName: "nexus-operator", containers: [container] } },
    },
  };
}

/** Names of the operator's pods. */
export async function operatorPods(cluster: Cluster): Promise<string[]> {
  const names = await cluster.kubectl(["-n", system, "get", "pods", "-l", "app=nexus-operator", "-o", "name"]);
  return names.split("\n").filter((name) => name !== "");
}

export const operatorNamespace = system;

/** So many replicas of the operator, and no others any more. */
export async function scaleOperator(cluster: Cluster, replicas: number): Promise<void> {
  await cluster.kubectl(["-n", system, "scale", "deployment/nexus-operator", `--replicas=${replicas}`]);
  const scaled = async () => (await operatorPods(cluster)).length === replicas;
  await until(`${replicas} replicas of the operator`, scaled, { withinMs: 90_000 });
  await cluster.kubectl(["-n", system, "rollout", "status", "deployment/nexus-operator", "--timeout=120s"]);
}

interface Object_ {
  kind: string;
  metadata: { name: string; uid: string; resourceVersion: string; generation?: number; finalizers?: string[] };
  spec: Record<string, unknown>;
  status?: {
    observedGeneration?: number;
    leader?: string;
    incarnation?: string;
    uid?: string;
    state?: string;
    mode?: string;
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

/** One federation in a namespace of its own, made of an example. */
export class Federation {
  readonly cluster: Cluster;
  readonly namespace: string;

  private constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster;
    this.namespace = namespace;
  }

  /** A namespace without anything. */
  static async empty(cluster: Cluster, namespace: string): Promise<Federation> {
    await cluster.kubectl(["create", "namespace", namespace]);
    return new Federation(cluster, namespace);
  }

  static async apply(cluster: Cluster, namespace: string, example = "quickstart"): Promise<Federation> {
    await Federation.empty(cluster, namespace);
    return Federation.into(cluster, namespace, example);
  }

  /** Into a namespace that is there. */
  static async into(cluster: Cluster, namespace: string, example = "quickstart"): Promise<Federation> {
    const federation = new Federation(cluster, namespace);
    await federation.run(["apply", "-f", resolve(root, `examples/${example}.yaml`)]);
    return federation;
  }

  run(args: readonly string[], input?: string): Promise<string> {
    return this.cluster.kubectl(["-n", this.namespace, ...args], input);
  }

  async get(name: string): Promise<Object_> {
    const found = await this.cluster.get<Object_>(this.namespace, name);
    if (found === undefined) throw new Error(`${name} is not there`);
    return found;
  }

  /** Everything in the namespace of those kinds. */
  async all(kinds: string): Promise<Object_[]> {
    return (JSON.parse(await this.run(["get", kinds, "-o", "json"])) as { items: Object_[] }).items;
  }

  /** What is written of the federation, each as it stands. */
  async versions(): Promise<string[]> {
    const kinds = "boxes,raftgroups,consensuszones,statefulsets,services,secrets,configmaps,poddisruptionbudgets";
    return (await this.all(kinds)).map(({ kind, metadata }) => `${kind}/${metadata.name} ${metadata.resourceVersion}`);
  }

  /** Waits until nothing was written between two looks, `everyMs` apart; the versions then. */
  async resting(options: { withinMs: number; everyMs: number }): Promise<string[]> {
    let before: string[] = [];
    const rests = async () => {
      const earlier = before;
      before = await this.versions();
      return JSON.stringify(before) === JSON.stringify(earlier);
    };
    await until("two looks without a write between them", rests, options);
    return before;
  }

  /** Resolves once every Box, RaftGroup and zone is Ready and nothing is under way. */
  async settled(withinMs = 120_000): Promise<void> {
    const open = async () =>
      (await this.all("boxes,raftgroups,consensuszones")).filter((object) => {
        // What is said of an earlier spec says nothing of this one.
        if (object.status?.observedGeneration !== object.metadata.generation) return true;
        const has = (type: string, status: string) =>
          object.status?.conditions?.some((each) => each.type === type && each.status === status) === true;
        return !has("Ready", "True") || has("Reconciling", "True");
      });
    let left: Object_[] = [];
    await until(
      "a settled federation",
      async () => {
        left = await open();
        return left.length === 0;
      },
      {
        withinMs,
        everyMs: 500,
        why: () => JSON.stringify(left.map(({ metadata, status }) => [metadata.name, status])),
      },
    );
  }

  /** What the object says of one condition, such as `Ready=False NotRunning: Its process does not run.` */
  async says(name: string, type: string): Promise<string> {
    const found = (await this.get(name)).status?.conditions?.find((each) => each.type === type);
    return found === undefined ? "" : `${type}=${found.status} ${found.reason}: ${found.message}`;
  }

  /** Resolves once the object says something like that. */
  async saying(name: string, type: string, like: RegExp, withinMs = 120_000): Promise<string> {
    let said = "";
    const heard = async () => {
      said = await this.says(name, type);
      return like.test(said) && said;
    };
    return until(`${name} saying ${like}`, heard, { withinMs, everyMs: 500, why: () => said });
  }

  async leader(zone = "root"): Promise<string> {
    return (await this.get(`consensuszone/${zone}`)).status?.leader ?? "";
  }

  /** Deletes the namespace and waits until it is gone. */
  async remove(): Promise<void> {
    await this.cluster.kubectl(["delete", "namespace", this.namespace, "--timeout=120s"]);
  }
}
