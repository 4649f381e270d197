// The operator as a process: flags, credentials, metrics and health, the manager, and a stop in order.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { systemClock as clock, systemRandom as random } from "@nexus-federation/node/transport/system-clock.ts";
import { pino } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { letGo } from "./controllers/let-go.ts";
import { Manager } from "./controllers/manager.ts";
import { type OperatorSettings, operatorHelp, readOperatorSettings } from "./controllers/settings.ts";
import { openDoors } from "./doors.ts";
import { Applier } from "./runtime/applier.ts";
import { RawClient } from "./runtime/client.ts";
import { Connection } from "./runtime/connection.ts";
import { EventRecorder } from "./runtime/events.ts";
import { Failpoints } from "./runtime/failpoints.ts";
import { createRuntimeMetrics } from "./runtime/metrics.ts";

/** A stop is over by then, however it goes, ms. */
const stopMs = 15_000;

function kubeConfig(file: string): () => KubeConfig {
  return () => {
    const config = new KubeConfig();
    if (file === "") config.loadFromDefault();
    else config.loadFromFile(file);
    return config;
  };
}

async function run(settings: OperatorSettings): Promise<void> {
  const log = pino({
    level: settings.log,
    base: { cluster: settings.cluster },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = createRuntimeMetrics(registry);
  const failpoints = new Failpoints(process.env["NEXUS_FAILPOINT"], () => process.kill(process.pid, "SIGKILL"));
  const connection = new Connection(kubeConfig(settings.kubeconfig), clock);
  const client = new RawClient({ connection, clock, metrics, failpoints });
  if (settings.letGo) {
    log.info({ objects: await letGo(client, settings.namespace) }, "nothing is held any more");
    connection.close();
    return;
  }
  const identity = `${hostname()}_${randomUUID()}`;
  const events = new EventRecorder(identity, { client, clock, random, metrics, log });
  const { namespace: namespaces, cluster, nodeImage, witnessImage, imagePullSecret, port, metricsPort } = settings;
  const images = { node: nodeImage, witness: witnessImage, pullSecrets: imagePullSecret };
  const applier = new Applier({ client, metrics });
  const manager = new Manager(
    { namespaces, cluster, images, identity },
    { client, applier, clock, random, metrics, events, log },
  );
  const doors = await openDoors({ port, metricsPort }, manager, registry);
  let stopping = false;
  const stop = async (reason: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, "operator stops");
    setTimeout(() => process.exit(1), stopMs).unref();
    await manager.stop();
    await events.stop();
    doors.close();
    connection.close();
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop("SIGTERM"));
  process.on("SIGINT", () => void stop("SIGINT"));
  log.info({ namespaces, identity, port, metricsPort }, "operator starts");
  await manager.start();
  log.info({}, "caches are filled");
}

/** Undefined when the help was asked for. Ends with 2 when the flags cannot be meant. */
function settingsOfProcess(): OperatorSettings | undefined {
  const argv = process.argv.slice(2);
  if (argv.includes("--help")) {
    process.stdout.write(operatorHelp());
    return undefined;
  }
  try {
    return readOperatorSettings(argv, process.env);
  } catch (error) {
    process.stderr.write(`nexus operator: ${messageOf(error)}\n`);
    process.exit(2);
  }
}

try {
  const settings = settingsOfProcess();
  if (settings !== undefined) await run(settings);
} catch (error) {
  process.stderr.write(`nexus operator: ${messageOf(error)}\n`);
  process.exit(1);
}
