// The data node as a process: reads flags and environment, opens the disk, wires the rooms, listens, and stops in order.
import { createHash, hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRefusal, messageOf, NexusError, type Refusal, refuse } from "./base/errors.ts";
import { featureLevel, version } from "./base/version.ts";
import { LocalBlobs } from "./blobs/local-blobs.ts";
import type { Caller } from "./box/api.ts";
import { ChunkPuller } from "./box/chunk-keeper.ts";
import { Gauges } from "./box/gauges.ts";
import { defaultBoxLimits } from "./box/limits.ts";
import { DiskMapFile } from "./box/map-file.ts";
import { MeteredBlobs, MeteredDisk, meteredBulk, meteredTransfer } from "./box/metered-drivers.ts";
import { DoorMeter, meteredBox } from "./box/metering.ts";
import { BoxNode } from "./box/node.ts";
import type { Hashing } from "./box/ports.ts";
import { type BoxSettings, readBoxSettings } from "./box/settings.ts";
import { Surroundings } from "./box/surroundings.ts";
import { GroupHost } from "./group/host.ts";
import { MachineStates } from "./group/machine-states.ts";
import { NodeDisk } from "./log/disk-node.ts";
import { SegmentLog } from "./log/segment-log.ts";
import { ApiServerReviews } from "./server/api-server-reviews.ts";
import { TableAuthenticator } from "./server/authenticator.ts";
import type { Authenticator } from "./server/callers.ts";
import { adminOnPeerPort, clientDoors, type DoorsNeeds } from "./server/doors.ts";
import { openPlainDoors } from "./server/plain-doors.ts";
import { type ReviewOutcome, ServiceAccountAuthenticator } from "./server/service-account-authenticator.ts";
import { BoxDatabase } from "./storage/database.ts";
import { joinFederation, openIdentity } from "./storage/identity.ts";
import { claimDisk } from "./storage/owner.ts";
import { openChecked, suspect } from "./storage/repair.ts";
import { createLogger, type Logger, roomLog } from "./telemetry/log.ts";
import { LoopDelay } from "./telemetry/loop-delay.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { endOnUnforeseen } from "./telemetry/unforeseen.ts";
import { TlsBulk } from "./transport/bulk-client.ts";
import { serveBulk } from "./transport/bulk-server.ts";
import { WatchedCredentials } from "./transport/credentials-watch.ts";
import { countBuffersAsHeap } from "./transport/garbage.ts";
import { clientListenerLimits, Listener, peerListenerLimits } from "./transport/listener.ts";
import { TlsNetwork } from "./transport/network.ts";
import type { BulkServer, SelfAddress } from "./transport/ports.ts";
import { systemClock as clock, systemRandom as random } from "./transport/system-clock.ts";

/** A stop is over by then, however it goes, ms. */
const stopMs = 5_000;
/** Of which leadership may take, ms. */
const drainMs = 3_000;
/** A log that nothing was written to for so long is sealed, ms. */
const idleMs = 1_000;

const hashing: Hashing = {
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
  running() {
    const running = createHash("sha256");
    return { update: (bytes) => void running.update(bytes), digest: () => running.digest() };
  },
};

async function openDisk(settings: BoxSettings, metrics: Metrics, onFatal: (error: unknown) => void) {
  const state = join(settings.dir, "state");
  const store = await openChecked(state, () => metrics.corrupt.of("state").inc());
  const { incarnation, federationUid } = await openIdentity(store, random);
  const salt = Buffer.from(incarnation).readUInt32BE(0);
  const file = new MeteredDisk(new NodeDisk(join(settings.dir, "log")), metrics, clock);
  const opened = await SegmentLog.open(file, { salt });
  for (const { corrupt } of opened.groups.values()) if (corrupt !== undefined) metrics.corrupt.of("log").inc();
  const distrust = (error: unknown) => {
    suspect(state);
    onFatal(error);
  };
  const database = await BoxDatabase.open({ store, clock, onFatal: distrust });
  const blobs = new MeteredBlobs(await LocalBlobs.open(join(settings.dir, "chunks"), clock), metrics);
  return { store, incarnation, federationUid, file, opened, database, blobs, onFatal };
}
type Disk = Awaited<ReturnType<typeof openDisk>>;

interface Parts {
  settings: BoxSettings;
  logger: Logger;
  disk: Disk;
  metrics: Metrics;
  loop: LoopDelay;
  surroundings: Surroundings;
  self: SelfAddress;
  credentials: WatchedCredentials;
  network: TlsNetwork;
  bulk: TlsBulk;
}

/** The groups, and the box over them. */
function buildNode(parts: Parts) {
  const { settings, disk, surroundings, network, logger, metrics, loop } = parts;
  const { incarnation, blobs, opened, onFatal } = disk;
  const states = new MachineStates(disk.database);
  const transfer = meteredTransfer(parts.bulk, metrics);
  const chunks = new ChunkPuller({ store: blobs, transfer, hashing });
  const applySeconds = metrics.applySeconds.of();
  const shared = { clock, random, network };
  const host = new GroupHost(
    { box: settings.box, incarnation },
    {
      ...shared,
      log: opened.log,
      states,
      bulk: parts.bulk,
      chunks,
      diskLow: () => surroundings.diskLow,
      featureLevelOf: () => featureLevel,
      onFatal,
      applyTook: (seconds) => applySeconds.observe(seconds),
      loopDelayMs: () => loop.recentLateMs,
    },
    { recovered: opened.groups.values(), corrupt: opened.corrupt },
  );
  let { federationUid } = disk;
  const remember = async (uid: string) => {
    federationUid = (await joinFederation(disk.store, uid)).federationUid;
  };
  const mapFailed = (error: unknown) => logger.warn({ reason: messageOf(error) }, "the rule map could not be kept");
  const node = new BoxNode({
    ...shared,
    identity: { box: settings.box, federation: settings.federation, region: settings.region },
    version,
    disk: { incarnation, federationUid: () => federationUid, join: remember, low: () => surroundings.diskLow },
    groups: host,
    machines: states,
    chunks: blobs,
    blobs,
    transfer,
    hashing,
    mapFile: new DiskMapFile(join(settings.dir, "map"), mapFailed),
    seeds: settings.peers,
    limits: defaultBoxLimits,
    log: roomLogger(logger),
    problems: () => (surroundings.diskLow ? [`less than ${settings.diskReserveBytes} bytes are free`] : []),
    meterPeers: (serve) => new DoorMeter(metrics, "peer", clock).handle(serve),
  });
  return { host, node };
}

function bulkServer({ settings, disk, surroundings, metrics }: Parts, host: GroupHost): BulkServer {
  const server: BulkServer = {
    snapshot: (from, start, data) => host.receiveSnapshot(from, start, data),
    async putChunk(_from, chunk, data) {
      if (surroundings.diskLow) return refuse("DISK_FULL", `box ${settings.box} has no space for content`);
      await disk.blobs.put(chunk.address, data);
      return undefined;
    },
    getChunk: (_from, chunk) => disk.blobs.get(chunk.address),
  };
  return meteredBulk(server, metrics);
}

/** Both listeners with their services; not started. */
async function buildListeners(parts: Parts, { host, node }: ReturnType<typeof buildNode>) {
  const { settings, credentials, network, self, logger, surroundings, metrics, loop, disk } = parts;
  const gauges = new Gauges({
    box: node.box,
    metrics,
    loop,
    clock,
    version,
    network,
    freeBytes: surroundings.freeBytes,
    connections: () => ({ client: client.listener.connections, peer: peer.connections }),
    stats: () => host.stats(),
    logBacklogBytes: () => disk.opened.log.backlogBytes,
    certificate: () => credentials.current.certificate,
  });
  host.onLeadership((log, view) => gauges.observe(log, view));
  const tellMetrics = async () => {
    gauges.read();
    return metrics.registry.metrics();
  };
  const refused = (port: string) => (reason: string) => {
    metrics.connectionsRefused.of(port).inc();
    logger.debug({ port, reason }, "connection refused");
  };
  const needs: DoorsNeeds = {
    box: node.box,
    meter: (box, door) => meteredBox(box, new DoorMeter(metrics, door, clock)),
    authenticator: meteredAuthenticator(authenticatorOf(parts), metrics),
    audit: (principal, action) => logger.info({ principal, action }, "admin call"),
    metrics: tellMetrics,
    refused: refused("client"),
    defer: (fn) => clock.soon(fn),
    version,
  };
  const { current } = credentials;
  const security = { kind: "tls", credentials: current, clientCertificate: "required" } as const;
  const peer = new Listener({ ...settings.peer, ...peerListenerLimits, security }, { refused: refused("peer") });
  network.serveOn(peer);
  serveBulk(peer, { clock, self, admit: host.admit, server: bulkServer(parts, host) });
  adminOnPeerPort(needs, peer);
  const client = await clientDoors(needs, {
    ...settings.client,
    ...clientListenerLimits,
    security: settings.plainClient
      ? { kind: "plain" }
      : { kind: "tls", credentials: current, clientCertificate: "optional" },
  });
  return { peer, client, tellMetrics };
}

/** The table of tokens, and Kubernetes' API server behind it where there is one. */
function authenticatorOf({ settings, surroundings, metrics, logger }: Parts): Authenticator {
  const wallMs = () => clock.wallMs();
  const table = new TableAuthenticator(() => surroundings.table, wallMs);
  if (settings.tokenReview === undefined) return table;
  const { audience, ...server } = settings.tokenReview;
  const reviews = new ApiServerReviews(server);
  const asked = (outcome: ReviewOutcome, reason?: string) => {
    metrics.tokenReviews.of(outcome).inc();
    if (reason !== undefined) logger.warn({ reason }, "the API server could not be asked about a token");
  };
  return new ServiceAccountAuthenticator({ table, reviews, wallMs, asked }, audience);
}

/** Refusals that come before a request reaches the box. */
function meteredAuthenticator(authenticator: Authenticator, metrics: Metrics): Authenticator {
  return {
    authenticate(bearer, certificate) {
      const counted = (caller: Caller | Refusal) => {
        if (isRefusal(caller)) metrics.refused.of(caller.code).inc();
        return caller;
      };
      const caller = authenticator.authenticate(bearer, certificate);
      return caller instanceof Promise ? caller.then(counted) : counted(caller);
    },
  };
}

/** Starts the box; the answer stops it. */
async function run(settings: BoxSettings, logger: Logger, onFatal: (error: unknown) => void) {
  const metrics = createMetrics({ processMetrics: true });
  const disk = await openDisk(settings, metrics, onFatal);
  const surroundings = new Surroundings(settings, (reason) =>
    logger.warn({ reason }, "free space or token table could not be read"),
  );
  await surroundings.look();
  const { federation, box } = settings;
  const self: SelfAddress = { federation, box, incarnation: disk.incarnation, featureLevel, version };
  const listeners: Listener[] = [];
  const credentials = new WatchedCredentials(clock, dirname(settings.tls.cert), {
    changed: (next) => {
      for (const listener of listeners) listener.reload(next);
    },
    failed: (reason) => logger.warn({ reason }, "renewed certificates are not usable; the former ones stay"),
  });
  const current = () => credentials.current;
  const network = new TlsNetwork({ clock, random, self, credentials: current });
  const bulk = new TlsBulk({ clock, self, credentials: current, address: (name) => network.address(name) });
  network.onRemoved((name) => bulk.forget(name));
  const loop = new LoopDelay(clock);
  const parts = { settings, logger, disk, metrics, loop, surroundings, self, credentials, network, bulk };
  const built = buildNode(parts);
  const { host, node } = built;
  host.start();
  const { peer, client, tellMetrics } = await buildListeners(parts, built);
  listeners.push(peer, client.listener);
  const ports = { peerPort: await peer.start(), clientPort: await client.listener.start() };
  const plain = openPlainDoors(settings, {
    health: () => {
      metrics.coordinatorHealthChecks.of().inc();
      return node.box.health();
    },
    metrics: { contentType: metrics.registry.contentType, tell: tellMetrics },
  });
  node.start();
  loop.start();
  credentials.start();
  surroundings.start();
  const sealing = sealWhenIdle(disk);
  logger.info({ ...ports, version }, "box listens");
  return async () => {
    surroundings.stop();
    clearInterval(sealing);
    credentials.stop();
    await node.drain(drainMs);
    node.stop();
    loop.stop();
    plain.close();
    await Promise.all([client.listener.stop(), client.close()]);
    await network.stop();
    await peer.stop();
    host.stop();
    await disk.opened.log.close();
    await disk.database.close();
  };
}

/** Protects the last write of a log that rests against later damage. */
function sealWhenIdle({ file, opened }: Disk): NodeJS.Timeout {
  let writes = -1;
  return setInterval(() => {
    // A seal that finds no room is tried again after the next write.
    if (writes === file.writes) opened.log.seal().catch(() => {});
    writes = file.writes;
  }, idleMs);
}

function roomLogger(logger: Logger) {
  const room = roomLog(logger, "box");
  return {
    info: (message: string, fields: Record<string, unknown> = {}) => room.info(fields, message),
    warn: (message: string, fields: Record<string, unknown> = {}) => room.warn(fields, message),
  };
}

async function main(): Promise<void> {
  const at = process.argv.indexOf("--config");
  const path = at < 0 ? process.env["NEXUS_CONFIG"] : process.argv[at + 1];
  if (path === undefined) throw new NexusError("INVALID", "usage: box --config FILE.json");
  const settings = readBoxSettings(JSON.parse(readFileSync(path, "utf8")), process.env);
  const logger = createLogger({ level: settings.log, fields: { federation: settings.federation, box: settings.box } });
  // Chunks are checked against their address, whatever volume they come from.
  const { dir, volumeUid } = settings;
  if (claimDisk(dir, settings, { volumeUid, kept: ["chunks"] }) === "other")
    logger.warn({ volumeUid }, "this is another volume than before: the box starts empty");
  const onFatal = (error: unknown) => {
    logger.error({ reason: messageOf(error) }, "the disk or the log can no longer be trusted; the box ends");
    setImmediate(() => process.exit(1));
  };
  endOnUnforeseen(logger);
  countBuffersAsHeap();
  const stop = await run(settings, logger, onFatal);
  let stopping = false;
  const end = (reason: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ reason }, "box stops");
    setTimeout(() => process.exit(1), stopMs).unref();
    stop().then(
      () => process.exit(0),
      (error) => {
        logger.error({ reason: messageOf(error) }, "the stop did not go in order");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => end("SIGTERM"));
  process.on("SIGINT", () => end("SIGINT"));
  if (settings.controlPipe) process.stdin.on("end", () => end("control pipe closed")).resume();
}

main().catch((error) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
});
