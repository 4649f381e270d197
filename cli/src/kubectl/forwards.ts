import type { ChildProcess } from "node:child_process";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import { boxPorts } from "@nexus-federation/operator/backends/shared/container.ts";
import type { Kubectl } from "./kube.ts";

export interface Target {
  pod: string;
  /** Where the federation says that the box is: an address inside the cluster. */
  endpoint: string;
}

/** How long a port may take to stand, ms. */
const openMs = 20_000;
const againMs = 500;
/** A connection to it is refused at once. */
const nowhere = "127.0.0.1:1";

/** Ports of this machine that lead to boxes in pods. One that breaks (its pod was replaced) is opened again. */
export class Forwards {
  readonly #kubectl: Kubectl;
  /** Local port by endpoint inside the cluster. */
  readonly #ports = new Map<string, number>();
  readonly #children = new Set<ChildProcess>();
  #closed = false;
  readonly #onExit = () => this.close();

  private constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
    process.once("exit", this.#onExit);
  }

  /** Resolves when every port stands or has failed; rejects when none stands. */
  static async open(kubectl: Kubectl, targets: readonly Target[]): Promise<Forwards> {
    const forwards = new Forwards(kubectl);
    const opened = await Promise.allSettled(targets.map((target) => forwards.#open(target)));
    if (forwards.#ports.size > 0) return forwards;
    forwards.close();
    const failure = opened.find((each) => each.status === "rejected");
    throw failure?.reason ?? new LocalError("ZONE_UNAVAILABLE", "no data box of this namespace has a running pod");
  }

  /** Address on this machine that leads to the endpoint. */
  readonly dial = (endpoint: string): string => {
    const port = this.#ports.get(endpoint);
    return port === undefined ? nowhere : `127.0.0.1:${port}`;
  };

  /** Endpoints that can be reached. */
  get endpoints(): string[] {
    return [...this.#ports.keys()];
  }

  close(): void {
    this.#closed = true;
    process.removeListener("exit", this.#onExit);
    for (const child of this.#children) child.kill("SIGKILL");
  }

  async #open(target: Target): Promise<void> {
    const port = await this.#start(target, "");
    this.#ports.set(target.endpoint, port);
  }

  #start(target: Target, local: string): Promise<number> {
    const child = this.#kubectl.spawn(["port-forward", `pod/${target.pod}`, `${local}:${boxPorts.client}`]);
    this.#children.add(child);
    child.stdin?.on("error", () => {});
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timer = setTimeout(() => child.kill("SIGKILL"), openMs);
    let said = "";
    const hear = (part: Buffer) => {
      said = `${said}${part}`.slice(-4_000);
      const [, port] = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said) ?? [];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      this.#children.delete(child);
      reject(
        new LocalError("ZONE_UNAVAILABLE", `kubectl port-forward to ${target.pod}: ${said.trim() || "no answer"}`),
      );
      const port = this.#ports.get(target.endpoint);
      if (port !== undefined && !this.#closed)
        setTimeout(() => void this.#start(target, String(port)).catch(() => {}), againMs).unref();
    });
    return promise;
  }
}
