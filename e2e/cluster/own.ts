import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaries, whyNoBinaries } from "./binaries.ts";
import { Cluster } from "./cluster.ts";
import { caretaker, ensureDocker, ownerLabel, removalOf, removeOrphans, whyNoDocker } from "./docker.ts";
import { nodeImage } from "./own-images.ts";
import { must, pipe, run, until } from "./programs.ts";
import type { ClusterProvider, ClusterSettings } from "./provider.ts";

/** What a node needs; `--privileged` would ask for CAP_SYS_RESOURCE too, which some machines do not have to give. */
const nodeFlags = [
  ...["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"],
  ...["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"].flatMap((o) => ["--security-opt", o]),
  ...["--device", "/dev/kmsg", "--cgroupns", "host"],
  ...["-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-v", "/lib/modules:/lib/modules:ro"],
];
/** Volumes for claims of the default class `standard`, a node. None is used twice, and the scenarios lose many. */
const volumesPerNode = 40;
/** Clusters at once. */
const networksMax = 16;
const nodesMax = 15;

interface Network {
  name: string;
  /** Nodes and pods. */
  all: string;
  podsOf(node: number): string;
}

/** A cluster in Docker containers, one a node, on a network without a way out. */
export const ownProvider: ClusterProvider = {
  name: "own",
  async whyNot() {
    if (process.platform !== "linux") return "a cluster of our own needs Linux; install kind";
    return (await whyNoBinaries()) ?? (await whyNoDocker());
  },
  async up(settings) {
    await ensureDocker();
    const programs = await binaries();
    const image = await nodeImage(programs);
    await removeOrphans();
    const owner = `${process.pid}-${settings.name}`;
    await caretaker(removalOf(owner));
    const folder = mkdtempSync(join(tmpdir(), `nexus-e2e-${settings.name}-`));
    const down = async () => {
      await run(["sh", "-c", removalOf(owner)]);
      rmSync(folder, { recursive: true, force: true });
    };
    try {
      const nodes = await startNodes(settings, owner, image);
      const kubeconfig = join(folder, "kubeconfig");
      await must(["docker", "cp", `${nodes[0]}:/etc/kube/admin.conf`, kubeconfig]);
      const facts = { provider: "own", kubeconfig, nodes, kubectl: programs.kubectl } as const;
      const cluster = new Cluster(facts, down);
      await ready(cluster);
      await cluster.kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(await storage(nodes)));
      return cluster;
    } catch (error) {
      await down();
      throw error;
    }
  },
};

async function startNodes(settings: ClusterSettings, owner: string, image: string): Promise<string[]> {
  const labels = ["--label", `${ownerLabel}=${owner}`];
  const network = await createNetwork(`nexus-e2e-${owner}`, labels);
  const count = settings.nodes ?? 1;
  if (count > nodesMax) throw new Error(`a cluster has at most ${nodesMax} nodes, not ${count}`);
  const nodes = Array.from({ length: count }, (_, index) => `nexus-e2e-${owner}-${index + 1}`);
  for (const [index, node] of nodes.entries()) {
    const who = { NODE: `node${index + 1}`, NUMBER: index + 1, NODES: count, PODS: network.all };
    const env = Object.entries({ ...who, NODE_PODS: network.podsOf(who.NUMBER) }).flatMap(([key, value]) => [
      "-e",
      `${key}=${value}`,
    ]);
    const flags = ["--network", network.name, "--name", node, "--hostname", who.NODE, ...labels, ...env, ...nodeFlags];
    await must(["docker", "run", "-d", ...flags, image]);
  }
  const [first, ...others] = nodes as [string, ...string[]];
  const written = async () => (await run(["docker", "exec", first, "test", "-s", "/etc/kube/admin.conf"])).code === 0;
  await until("the control plane's certificates", written, { withinMs: 60_000, why: () => logsOf(first) });
  for (const node of others)
    await pipe(
      ["docker", "exec", first, "tar", "-C", "/etc/kube", "-c", "."],
      ["docker", "exec", "-i", node, "tar", "-C", "/etc/kube", "-x"],
    );
  await joinPodNetworks(nodes, network);
  return nodes;
}

/**
 * In the upper half of the range that is set aside for tests of networks (RFC 2544), so that it is nobody's; the lower
 * half is e2e/harness/network.ts's. Its first /24 is the nodes', each node's pods have a /24 of their own: Docker drops
 * what goes through an internal network to addresses outside it.
 */
async function createNetwork(network: string, labels: string[]): Promise<Network> {
  let why = "";
  for (let third = 0; third < 256; third += 256 / networksMax) {
    const all = `198.19.${third}.0/20`;
    const ranges = ["--subnet", all, "--ip-range", `198.19.${third}.0/24`, "--gateway", `198.19.${third}.1`];
    const made = await run(["docker", "network", "create", "--internal", ...ranges, ...labels, network]);
    if (made.code === 0) return { name: network, all, podsOf: (node) => `198.19.${third + node}.0/24` };
    why = made.stderr;
  }
  throw new Error(`no free network in 198.19.0.0/16: ${why}`);
}

async function joinPodNetworks(nodes: string[], network: Network): Promise<void> {
  const addresses = await Promise.all(nodes.map((node) => must(["docker", "exec", node, "hostname", "-i"])));
  for (const node of nodes)
    for (const [index, address] of addresses.entries()) {
      if (nodes[index] === node) continue;
      const route = [network.podsOf(index + 1), "via", address.trim()];
      await must(["docker", "exec", node, "ip", "route", "replace", ...route]);
    }
}

async function ready(cluster: Cluster): Promise<void> {
  const wanted = cluster.facts.nodes.length;
  const all = async () => {
    const path = "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status} {end}";
    const printed = (await cluster.tryKubectl(["get", "nodes", "-o", path])).stdout;
    return printed.split(" ").filter((word) => word === "True").length === wanted;
  };
  await until("readiness of every node", all, { withinMs: 120_000, why: () => logsOf(cluster.facts.nodes[0]!) });
}

/** Claims find folders of the nodes: no provisioner that makes volumes can be had as a Go module of a few lines. */
async function storage(nodes: string[]): Promise<object> {
  const items: object[] = [
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "kubernetes.io/no-provisioner",
      reclaimPolicy: "Retain",
      volumeBindingMode: "WaitForFirstConsumer",
    },
  ];
  for (const [index, node] of nodes.entries()) {
    const names = Array.from({ length: volumesPerNode }, (_, at) => `volume-${index + 1}-${at + 1}`);
    await must(["docker", "exec", node, "mkdir", "-p", ...names.map((name) => `/var/volumes/${name}`)]);
    items.push(...names.map((name) => volume(name, `node${index + 1}`)));
  }
  return { apiVersion: "v1", kind: "List", items };
}

function volume(name: string, node: string): object {
  const expression = { key: "kubernetes.io/hostname", operator: "In", values: [node] };
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: {
      capacity: { storage: "100Gi" },
      accessModes: ["ReadWriteOnce"],
      storageClassName: "standard",
      persistentVolumeReclaimPolicy: "Retain",
      local: { path: `/var/volumes/${name}` },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } },
    },
  };
}

async function logsOf(node: string): Promise<string> {
  const tails = "tail -n 5 /var/log/kube/*.log | cut -c1-300";
  return (await run(["docker", "exec", node, "sh", "-c", tails])).stdout.slice(-4_000);
}
