import { Cluster } from "./cluster.ts";
import { kindProvider } from "./kind.ts";
import { ownProvider } from "./own.ts";
import { run } from "./programs.ts";
import type { ClusterProvider } from "./provider.ts";

/** NEXUS_E2E_CONTAINERS: the containers that are its nodes, where they are such, for scenarios that stop nodes. */
const kubeconfigProvider: ClusterProvider = {
  name: "kubeconfig",
  async whyNot() {
    return process.env["KUBECONFIG"] ? undefined : "KUBECONFIG names no file";
  },
  async up() {
    const kubectl = (await run(["kubectl", "version", "--client"])).code === 0 ? "kubectl" : undefined;
    if (!kubectl) throw new Error("kubectl is not in PATH");
    const nodes = process.env["NEXUS_E2E_CONTAINERS"]?.split(",") ?? [];
    return new Cluster({ provider: "kubeconfig", kubeconfig: process.env["KUBECONFIG"]!, nodes, kubectl });
  },
};

const providers = { own: ownProvider, kind: kindProvider, kubeconfig: kubeconfigProvider };

/** The provider that NEXUS_E2E_CLUSTER names, else the first of kind and own that can be used; or why there is none. */
export async function chooseProvider(): Promise<ClusterProvider | string> {
  const asked = process.env["NEXUS_E2E_CLUSTER"];
  if (asked !== undefined && !(asked in providers))
    return `NEXUS_E2E_CLUSTER: expected own, kind or kubeconfig, not ${asked}`;
  const order = asked === undefined ? [kindProvider, ownProvider] : [providers[asked as keyof typeof providers]];
  let why = "";
  for (const provider of order) {
    const here = await provider.whyNot();
    if (here === undefined) return provider;
    why = here;
  }
  return why;
}
