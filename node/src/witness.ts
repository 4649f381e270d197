// The witness process: composition only. It must fit 64 MiB, so it imports nothing but grpc-js, the wire records and our
// transport; settings are checked by hand, logs are JSON lines made by hand.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf } from "./base/errors.ts";
import { featureLevel, version } from "./base/version.ts";
import { NodeDisk } from "./log/disk-node.ts";
import { claimDisk } from "./storage/owner.ts";
import { WatchedCredentials } from "./transport/credentials-watch.ts";
import { Listener, peerListenerLimits } from "./transport/listener.ts";
import { TlsNetwork } from "./transport/network.ts";
import { plainServer } from "./transport/plain-server.ts";
import { systemClock, systemRandom } from "./transport/system-clock.ts";
import { metricsPage } from "./witness/metrics.ts";
import { RecordStore } from "./witness/records.ts";
import { serveWitness } from "./witness/serve.ts";
import { WitnessServer } from "./witness/server.ts";

/** Same file as a box's; what only boxes use is passed over. */
interface WitnessConfig {
  federation: string;
  /** Name of this witness. NEXUS_WITNESS_ID stands in for it. */
  box: string;
  /** Folder of its records. */
  dir: string;
  peer: { host: string; port: number };
  /** Paths of PEM files named ca.crt, tls.crt, tls.key in one folder. */
  tls: { ca: string; cert: string; key: string };
  /** Plain HTTP for /healthz, and for /metrics unless NEXUS_METRICS_PORT opens a port for it; absent: none. */
  health?: { host: string; port: number };
  /** The process ends when its stdin does. */
  controlPipe?: boolean;
}

const anywhere = "0.0.0.0";
/** Records of all groups, those of unanswered joins included. */
const recordsMax = 20_000;

function say(level: "info" | "error", message: string, fields: object = {}): void {
  process.stdout.write(`${JSON.stringify({ level, time: Date.now(), room: "witness", msg: message, ...fields })}\n`);
}

function die(message: string, code = 1): never {
  say("error", message);
  process.stderr.write(`nexus witness: ${message}\n`);
  process.exit(code);
}

function readConfig(): WitnessConfig {
  const at = process.argv.indexOf("--config");
  const file = at < 0 ? process.env["NEXUS_CONFIG"] : process.argv[at + 1];
  if (!file) die("expected --config FILE", 2);
  let config: Partial<WitnessConfig>;
  try {
    config = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    die(`${file}: expected a JSON configuration (${messageOf(error)})`, 2);
  }
  const box = process.env["NEXUS_WITNESS_ID"] ?? config.box;
  const { federation, dir, peer, tls } = config;
  if (!federation || !box || !dir || !peer?.host || !Number.isInteger(peer.port) || !tls?.cert) {
    die(`${file}: federation, box, dir, peer.host, peer.port and tls are needed`, 2);
  }
  return { ...config, federation, box, dir, peer, tls };
}

/** Certificates, network and listener, serving. */
async function connect(config: WitnessConfig, server: WitnessServer) {
  const credentials = new WatchedCredentials(systemClock, dirname(config.tls.cert), {
    changed: (next) => listener.reload(next),
    failed: (reason) => say("error", "certificates not reloaded", { reason }),
  });
  const self = {
    federation: config.federation,
    box: config.box,
    incarnation: systemRandom.bytes(16),
    featureLevel,
    version,
  };
  const network = new TlsNetwork({
    clock: systemClock,
    random: systemRandom,
    self,
    credentials: () => credentials.current,
  });
  network.onServe("witness", serveWitness(server));
  const listener = new Listener(
    {
      host: config.peer.host,
      port: config.peer.port,
      security: { kind: "tls", credentials: credentials.current, clientCertificate: "required" },
      ...peerListenerLimits,
    },
    { refused: (reason) => say("info", "connection refused", { reason }) },
  );
  network.serveOn(listener);
  const port = await listener.start();
  credentials.start();
  return { network, listener, credentials, port };
}

async function main(): Promise<void> {
  const config = readConfig();
  const volumeUid = process.env["NEXUS_VOLUME_UID"] ?? "";
  if (claimDisk(config.dir, config, { volumeUid }) === "other")
    say("info", "this is another volume than before: the witness starts without records", { volumeUid });
  const disk = new NodeDisk(join(config.dir, "witness"));
  const store = await RecordStore.open(disk, { recordsMax });
  const server = new WitnessServer({
    store,
    newIncarnation: () => systemRandom.bytes(16),
    onFatal: (error) => die(`the disk failed: ${messageOf(error)}`),
  });
  const { network, listener, credentials, port } = await connect(config, server);
  const metricsPort = Number(process.env["NEXUS_METRICS_PORT"] ?? 0);
  const plain = [
    ...(config.health ? [plainDoor(server, config.health, { health: true, metrics: metricsPort === 0 })] : []),
    ...(metricsPort > 0 ? [plainDoor(server, { host: anywhere, port: metricsPort }, { metrics: true })] : []),
  ];
  say("info", "serving", { box: config.box, port, records: server.records });

  let stopping = false;
  const stop = async (why: string) => {
    if (stopping) return;
    stopping = true;
    say("info", "stopping", { why });
    credentials.stop();
    for (const each of plain) each.close();
    await network.stop();
    await listener.stop();
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop("SIGTERM"));
  process.on("SIGINT", () => void stop("SIGINT"));
  if (config.controlPipe)
    process.stdin
      .resume()
      .on("end", () => void stop("the supervisor is gone"))
      .on("error", () => void stop("the supervisor is gone"));
}

/** For the kubelet and for Prometheus: one port, or each its own. */
function plainDoor(
  server: WitnessServer,
  at: { host: string; port: number },
  tells: { health?: boolean; metrics?: boolean },
) {
  const http = plainServer(({ url }, response) => {
    if (tells.health && (url === "/healthz" || url === "/readyz")) response.end("ok\n");
    else if (tells.metrics && url === "/metrics")
      response.setHeader("content-type", "text/plain; version=0.0.4").end(metricsPage(server));
    else response.writeHead(404).end();
  });
  return http.listen(at.port, at.host);
}

main().catch((error) => die(messageOf(error)));
