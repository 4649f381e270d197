import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import type { Log } from "@nexus-federation/operator/runtime/api.ts";
import { RawClient } from "@nexus-federation/operator/runtime/client.ts";
import { Connection } from "@nexus-federation/operator/runtime/connection.ts";
import { noFailpoints } from "@nexus-federation/operator/runtime/failpoints.ts";
import { createRuntimeMetrics } from "@nexus-federation/operator/runtime/metrics.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { type ResourceType, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { Registry } from "prom-client";
import { inject } from "vitest";
import { parse } from "yaml";
import { run, until } from "../../cluster/programs.ts";
import type { ControlPlaneHandle } from "./control-plane.ts";

/** Undefined where no control plane can be had; suites are skipped then. */
export const controlPlane = inject("controlPlane");

export function thePlane(): ControlPlaneHandle {
  if (!controlPlane) throw new Error("there is no control plane: this suite should have been skipped");
  return controlPlane;
}

export interface LogLine {
  level: string;
  message: string;
  [field: string]: unknown;
}

/** Everything that one user of the runtime needs, as it is in production, and what it logged. */
export interface Side {
  client: RawClient;
  connection: Connection;
  clock: typeof systemClock;
  random: typeof systemRandom;
  metrics: ReturnType<typeof createRuntimeMetrics>;
  log: Log;
  lines: LogLine[];
}

/** `server` instead of the kubeconfig's own, such as a proxy in front of it. */
export function side(server?: { url: string; ca: string }): Side {
  const load = () => {
    const config = new KubeConfig();
    config.loadFromFile(thePlane().kubeconfig);
    const cluster = config.getCurrentCluster();
    if (!server || !cluster) return config;
    const changed = { ...cluster, server: server.url, caData: Buffer.from(server.ca).toString("base64") };
    config.clusters = config.clusters.map((each) => (each.name === cluster.name ? changed : each));
    return config;
  };
  const connection = new Connection(load, systemClock);
  const metrics = createRuntimeMetrics(new Registry());
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: object, message: string) => lines.push({ level, message, ...fields });
  const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  const client = new RawClient({ connection, clock: systemClock, metrics, failpoints: noFailpoints });
  return { client, connection, clock: systemClock, random: systemRandom, metrics, log, lines };
}

let namespaces = 0;
/** A namespace of its own for the caller. */
export async function newNamespace(client: RawClient): Promise<string> {
  const name = `t${process.pid}-${++namespaces}`;
  await client.create(resourceTypes.namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
}

/** Puts crds/*.yaml on the server and waits until it serves them. */
export async function installCrds(client: RawClient): Promise<void> {
  const folder = resolve(import.meta.dirname, "../../../crds");
  const type = resourceTypes.customResourceDefinition;
  for (const file of readdirSync(folder)) {
    const crd = parse(readFileSync(join(folder, file), "utf8")) as KubeObject;
    await client.apply(type, crd);
    await eventually(`${crd.metadata.name} established`, async () => {
      const live = await client.get<KubeObject<unknown, { conditions?: { type: string; status: string }[] }>>(type, {
        name: crd.metadata.name,
      });
      return live?.status?.conditions?.some(({ type: of, status }) => of === "Established" && status === "True");
    });
  }
}

/** Asks until the answer is truthy; the bound is for a broken program, not for a slow machine. */
export function eventually<T>(what: string, ask: () => Promise<T> | T, withinMs = 60_000): Promise<NonNullable<T>> {
  return until(what, async () => (await ask()) || undefined, { withinMs, everyMs: 25 });
}

/** What kubectl prints as the cluster's administrator; throws with its words when it fails. */
export async function kubectl(args: string[], input?: string): Promise<string> {
  const { kubectl: program, kubeconfig } = thePlane();
  const outcome = await run([program, "--kubeconfig", kubeconfig, ...args], { input, timeoutMs: 60_000 });
  if (outcome.code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${outcome.stderr}${outcome.stdout}`);
  return outcome.stdout;
}

export async function restart(what: "apiserver" | "etcd"): Promise<void> {
  const answer = await fetch(`${thePlane().controlUrl}/restart/${what}`, { method: "POST" });
  if (!answer.ok) throw new Error(`${what} did not come back: ${await answer.text()}`);
}

export function configMap(namespace: string, name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name }, data };
}

export const mapType: ResourceType = resourceTypes.configMap;
