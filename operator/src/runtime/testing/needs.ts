import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import type { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { Registry } from "prom-client";
import type { Log } from "../api.ts";
import { createRuntimeMetrics, type RuntimeMetrics } from "../metrics.ts";
import type { KubeObject } from "../objects.ts";

export interface LogLine {
  level: string;
  message: string;
  [field: string]: unknown;
}

/** What a part of the runtime needs beside its client, and what it logged. */
export function needs(clock: Clock): {
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  log: Log;
  lines: LogLine[];
} {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, message, ...fields });
  const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  // The longest delay of each backoff, so that times are exact.
  const random = { unit: () => 1, bytes: (count: number) => new Uint8Array(count) };
  return { clock, random, metrics: createRuntimeMetrics(new Registry()), log, lines };
}

/** An object as the server would send it. */
export function object(name: string, version: number, more: { uid?: string; v?: string } = {}): KubeObject {
  const { uid = `uid-${name}`, v = "" } = more;
  const metadata = { namespace: "ns", name, uid, resourceVersion: String(version) };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { v } };
}

/** Lets chains of promises run to their end. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await undefined;
}

/** What is under way goes on until it waits, then time passes. */
export async function pass(clock: VirtualClock, ms: number): Promise<void> {
  await settled();
  await clock.run(ms);
}
