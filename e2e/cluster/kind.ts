import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster } from "./cluster.ts";
import { caretaker } from "./docker.ts";
import { must, run } from "./programs.ts";
import type { ClusterProvider } from "./provider.ts";

/** `kind`, where the program, a Docker engine and a node image are at hand (or, when asked for by name, can be pulled). */
export const kindProvider: ClusterProvider = {
  name: "kind",
  async whyNot() {
    if ((await run(["kind", "version"], { timeoutMs: 10_000 })).code !== 0) return "kind is not in PATH";
    if ((await run(["kubectl", "version", "--client"])).code !== 0) return "kubectl is not in PATH";
    const images = await run(["docker", "images", "-q", "kindest/node"], { timeoutMs: 10_000 });
    if (images.code !== 0) return "no Docker engine answers";
    if (images.stdout.trim() === "" && process.env["NEXUS_E2E_CLUSTER"] !== "kind")
      return "kind has no node image here (NEXUS_E2E_CLUSTER=kind pulls one)";
    return undefined;
  },
  async up(settings) {
    const name = `nexus-e2e-${process.pid}-${settings.name}`;
    const folder = mkdtempSync(join(tmpdir(), `${name}-`));
    const kubeconfig = join(folder, "kubeconfig");
    await caretaker(`kind delete cluster --name ${name}`);
    const roles = Array.from({ length: settings.nodes ?? 1 }, (_, index) => (index === 0 ? "control-plane" : "worker"));
    const nodes = roles.map((role) => ({ role }));
    const recipe = JSON.stringify({ kind: "Cluster", apiVersion: "kind.x-k8s.io/v1alpha4", nodes });
    const flags = ["--name", name, "--kubeconfig", kubeconfig, "--wait", "180s", "--config", "-"];
    await must(["kind", "create", "cluster", ...flags], { input: recipe });
    const printed = await must(["kind", "get", "nodes", "--name", name]);
    const facts = {
      provider: "kind",
      kubeconfig,
      nodes: printed.trim().split("\n").sort(),
      kubectl: "kubectl",
    } as const;
    return new Cluster(facts, async () => {
      await run(["kind", "delete", "cluster", "--name", name]);
      rmSync(folder, { recursive: true, force: true });
    });
  },
};
