// Where the scenarios get a cluster from. A suite written against one way of making clusters runs only where that way
// works: so the ways sit behind one small interface. `kind` where it and its node image are at hand; the cluster that
// KUBECONFIG names, only when asked for by name, for scenarios kill pods and drain nodes; else one of our own, built from
// Go modules and Debian packages in Docker containers.
import type { Cluster } from "./cluster.ts";

export interface ClusterSettings {
  /** Part of the nodes' container names. */
  name: string;
  /** Default 1. Ignored for a cluster that is there already. */
  nodes?: number;
}

export interface ClusterProvider {
  name: "own" | "kind" | "kubeconfig";
  /** Why it cannot be used here, in one sentence. */
  whyNot(): Promise<string | undefined>;
  /** Answers once every node is Ready. What was started goes with `down`, with Ctrl-C, and with this process. */
  up(settings: ClusterSettings): Promise<Cluster>;
}
