// kubectl as a library: it knows every way of logging in, proxies and contexts, and whoever calls this plugin has it.
import { type ChildProcess, spawn } from "node:child_process";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";

export interface KubeOptions {
  namespace?: string;
  kubeconfig?: string;
  context?: string;
}

export interface KubeObject {
  kind: string;
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

const runMs = 60_000;

export class Kubectl {
  readonly #flags: readonly string[];
  readonly #program: string;

  constructor({ namespace, kubeconfig, context }: KubeOptions, program: string) {
    const flag = (name: string, value: string | undefined) => (value === undefined ? [] : [`--${name}=${value}`]);
    this.#flags = [...flag("kubeconfig", kubeconfig), ...flag("context", context), ...flag("namespace", namespace)];
    this.#program = program;
  }

  /** What it prints. Throws its last words. */
  async run(args: readonly string[], input = ""): Promise<string> {
    const child = this.spawn(args);
    const out: Buffer[] = [];
    let words = "";
    child.stdout?.on("data", (part: Buffer) => out.push(part));
    child.stderr?.on("data", (part: Buffer) => {
      words += part;
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    const timer = setTimeout(() => child.kill("SIGKILL"), runMs);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? -1));
    try {
      const code = await promise;
      if (code !== 0) throw new LocalError("INVALID", `kubectl ${args[0]}: ${words.trim() || `ended with ${code}`}`);
      return Buffer.concat(out).toString("utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new LocalError("INVALID", `${this.#program} is not in PATH; NEXUS_KUBECTL names another`);
    } finally {
      clearTimeout(timer);
    }
  }

  async get(kinds: readonly string[], ...more: string[]): Promise<KubeObject[]> {
    const text = await this.run(["get", kinds.join(","), ...more, "-o", "json"]);
    const found = JSON.parse(text) as KubeObject & { items?: KubeObject[] };
    return found.items ?? [found];
  }

  /** Left running. */
  spawn(args: readonly string[]): ChildProcess {
    return spawn(this.#program, [...this.#flags, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  }
}
