// Disks of boxes as folders of the nodes, where the cluster's volumes are such: what a snapshot brings back, and what is
// gone for good, can be made so by hand.
import type { Cluster } from "../../cluster/cluster.ts";
import { must, pipe } from "../../cluster/programs.ts";
import type { Federation } from "./operator.ts";

interface Claim {
  spec: { volumeName: string };
}
interface Volume {
  metadata: { name: string };
  spec: { local?: { path: string }; nodeAffinity?: unknown };
  status: { phase: string };
}

const kept = "/var/volumes-kept";

/** Puts a copy of the box's disk, as it is now, where `everywhere` finds it. */
export async function keepCopy(federation: Federation, box: string): Promise<void> {
  const { container: from, path } = await placeOf(federation, `pvc/${box}-data`);
  for (const node of federation.cluster.facts.nodes) {
    await must(["docker", "exec", node, "sh", "-c", `rm -rf ${kept} && mkdir -p ${kept}`]);
    await pipe(
      // A file that changes while it is read is what a snapshot of a running disk is made of, too.
      ["docker", "exec", from, "sh", "-c", `tar -C ${path} -c . || test $? -eq 1`],
      ["docker", "exec", "-i", node, "tar", "-C", kept, "-x"],
    );
  }
}

/** Every volume that a new claim may get holds the copy, or nothing when `empty`. */
export async function everywhere(cluster: Cluster, what: "copy" | "empty"): Promise<void> {
  const { items } = JSON.parse(await cluster.kubectl(["get", "pv", "-o", "json"])) as { items: Volume[] };
  for (const volume of items.filter(({ status }) => status.phase === "Available")) {
    const path = volume.spec.local!.path;
    const fill = what === "copy" ? ` && cp -a ${kept}/. ${path}/` : "";
    await cluster.exec(nodeOf(volume), ["sh", "-c", `find ${path} -mindepth 1 -delete${fill}`]);
  }
}

/** The content of two boxes' disks changes places, as when a storage system mixes them up; no pod may run on them. */
export async function exchange(federation: Federation, one: string, other: string): Promise<void> {
  const places = await Promise.all([one, other].map((box) => placeOf(federation, `pvc/${box}-data`)));
  const [a, b] = places as [Place, Place];
  for (const { container, path, copy } of places)
    await must(["docker", "exec", container, "sh", "-c", `rm -rf ${copy}; mkdir ${copy}; cp -a ${path}/. ${copy}/`]);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    await must(["docker", "exec", to.container, "find", to.path, "-mindepth", "1", "-delete"]);
    await pipe(
      ["docker", "exec", from.container, "tar", "-C", from.copy, "-c", "."],
      ["docker", "exec", "-i", to.container, "tar", "-C", to.path, "-x"],
    );
  }
}

interface Place {
  container: string;
  path: string;
  /** Room for a copy of it. */
  copy: string;
}

/** Where the claim's volume is. */
export async function placeOf(federation: Federation, claim: string): Promise<Place> {
  const { spec } = (await federation.get(claim)) as unknown as Claim;
  const volume = (await federation.get(`pv/${spec.volumeName}`)) as unknown as Volume;
  const container = federation.cluster.facts.nodes[nodeOf(volume) - 1]!;
  return { container, path: volume.spec.local!.path, copy: `${kept}-${spec.volumeName}` };
}

/** Claim and pod of each box at once, with nothing left of the disks. */
export async function loseVolumes(federation: Federation, boxes: readonly string[]): Promise<void> {
  await federation.run(["delete", "pvc", ...boxes.map((box) => `${box}-data`), "--wait=false"]);
  await federation.run(["delete", "pod", ...boxes.map((box) => `${box}-0`), "--grace-period=0", "--force"]);
  await federation.run(["wait", "--for=delete", ...boxes.map((box) => `pvc/${box}-data`), "--timeout=240s"]);
}

/** Number of the node, from 1, of a pod or of a volume's folder. */
function nodeOf(volume: Volume): number {
  const found = /"values":\["node(\d+)"\]/.exec(JSON.stringify(volume.spec.nodeAffinity));
  if (found === null) throw new Error(`volume ${volume.metadata.name} is no folder of a node`);
  return Number(found[1]);
}

/** Number of the node, from 1, that the box runs on. */
export async function nodeOfBox(federation: Federation, box: string): Promise<number> {
  const { spec } = await federation.get(`pod/${box}-0`);
  return Number(/^node(\d+)$/.exec(String(spec["nodeName"]))?.[1]);
}
