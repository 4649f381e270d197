import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pause } from "../harness/run.ts";
import { type Binaries, binaries } from "./binaries.ts";
import { must, type Outcome, pipe, run } from "./programs.ts";

/** All that is needed to use a cluster; plain data, so that a suite's set-up can hand it to its files. */
export interface ClusterFacts {
  provider: "own" | "kind" | "kubeconfig";
  /** File of an administrator. */
  kubeconfig: string;
  /** Containers that are nodes, node 1 (the control plane) first; empty when it is not known how to reach them. */
  nodes: string[];
  kubectl: string;
}

export interface Forward {
  /** On 127.0.0.1. */
  port: number;
  stop(): void;
}

/** The API server did not even take the call: it is being started, or the machine is very busy. */
const unheard = /TLS handshake timeout|connection refused|was refused|connection reset by peer|no route to host/;
const unheardTriesMax = 40;
const unheardPauseMs = 2_000;

/** A running cluster. */
export class Cluster {
  readonly facts: ClusterFacts;
  readonly #down: () => Promise<void>;

  constructor(facts: ClusterFacts, down: () => Promise<void> = async () => undefined) {
    this.facts = facts;
    this.#down = down;
  }

  get kubeconfig(): string {
    return this.facts.kubeconfig;
  }

  /** Runs kubectl and answers what it printed; throws its words when it fails. `input` is for `-f -`. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.tryKubectl(args, input);
    if (code === 0) return stdout;
    throw new Error(
      `kubectl ${args.slice(0, 8).join(" ")} ended with ${code}: ${`${stdout.slice(-500)} ${stderr}`.trim().slice(-2_000)}`,
    );
  }

  /** Runs kubectl to its end, however it ends; what an API server that is away never heard is said again. */
  async tryKubectl(args: readonly string[], input?: string): Promise<Outcome> {
    for (let tries = 1; ; tries++) {
      const outcome = await run([this.facts.kubectl, "--kubeconfig", this.kubeconfig, ...args], { input });
      if (outcome.code === 0 || tries === unheardTriesMax || !unheard.test(outcome.stderr)) return outcome;
      await pause(unheardPauseMs);
    }
  }

  /** One object, or undefined when there is none. */
  async get<T = Record<string, unknown>>(namespace: string, name: string): Promise<T | undefined> {
    const outcome = await this.tryKubectl(["-n", namespace, "get", name, "-o", "json", "--ignore-not-found"]);
    return outcome.code === 0 && outcome.stdout.trim() !== "" ? JSON.parse(outcome.stdout) : undefined;
  }

  async helm(args: readonly string[]): Promise<string> {
    const { helm }: Binaries = await binaries(["helm"]);
    return must([helm, "--kubeconfig", this.kubeconfig, ...args]);
  }

  /** Makes local images known to every node. */
  async loadImages(tags: readonly string[]): Promise<void> {
    const { provider, nodes } = this.facts;
    if (provider === "kubeconfig")
      throw new Error(`${tags.join(", ")}: push them where the cluster pulls from, and set NEXUS_E2E_IMAGES_LOADED=1`);
    for (const node of nodes) {
      const into = ["docker", "exec", "-i", node, "ctr", "-n", "k8s.io", "images", "import", "-"];
      await pipe(["docker", "save", ...tags], into);
    }
  }

  /** Runs a program inside a node. */
  exec(node: number, command: readonly string[]): Promise<Outcome> {
    const container = this.facts.nodes[node - 1];
    if (!container) throw new Error(`no way is known into node ${node} of this cluster`);
    return run(["docker", "exec", container, ...command]);
  }

  /** Stops every process of a node (its pods too), as a hung machine does, until `thaw`. */
  async freeze(node: number): Promise<void> {
    await must(["docker", "pause", this.facts.nodes[node - 1]!]);
  }

  async thaw(node: number): Promise<void> {
    await must(["docker", "unpause", this.facts.nodes[node - 1]!]);
  }

  /** A way from this machine to a pod's or service's port, by `kubectl port-forward`. It ends when its pod does. */
  forward(namespace: string, target: string, port: number): Promise<Forward> {
    const flags = ["--kubeconfig", this.kubeconfig, "-n", namespace, "port-forward", target, `:${port}`];
    const child = spawn(this.facts.kubectl, flags, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stderr.on("data", (text: Buffer) => (said = (said + text.toString()).slice(-1_000)));
    return new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line);
        if (found) resolve({ port: Number(found[1]), stop: () => void child.kill("SIGKILL") });
      });
      child.on("error", reject);
      child.on("exit", () => reject(new Error(`port-forward to ${target}: ${said}`)));
    });
  }

  /** Removes what `up` made. Idempotent. */
  down(): Promise<void> {
    return this.#down();
  }
}
