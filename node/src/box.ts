// The data node as a process: reads flags and environment, opens the disk, wires the rooms, listens, and stops in order.
import { createHash, hash } from "node:crypto";
import { readFileSync, statfsSync } from "node:fs";
import http from "node:http";
import { dirname, join } from "node:path";
import { AdminService } from "@nexus-federation/proto/admin.ts";
import { FilesService } from "@nexus-federation/proto/files.ts";
import { LocksService } from "@nexus-federation/proto/locks.ts";
import { readAccessTable } from "./auth/access-file.ts";
import type { AccessTable } from "./auth/checks.ts";
import { utf8 } from "./base/bytes.ts";
import { isRefusal, messageOf, NexusError, refuse } from "./base/errors.ts";
import { LocalBlobs } from "./blobs/local-blobs.ts";
import { Access } from "./box/access.ts";
import { ChunkPuller } from "./box/chunk-keeper.ts";
import { readGauges } from "./box/gauges.ts";
import { defaultBoxLimits } from "./box/limits.ts";
import { DiskMapFile } from "./box/map-file.ts";
import { BoxNode } from "./box/node.ts";
import type { Hashing } from "./box/ports.ts";
import { type BoxSettings, readBoxSettings } from "./box/settings.ts";
import { GroupHost } from "./group/host.ts";
import { MachineStates } from "./group/machine-states.ts";
import { NodeDisk } from "./log/disk-node.ts";
import { SegmentLog } from "./log/segment-log.ts";
import { adminDoor } from "./server/admin-door.ts";
import { filesDoor, locksDoor } from "./server/files-door.ts";
import { httpDoor } from "./server/http-door.ts";
import { BoxDatabase } from "./storage/database.ts";
import { joinFederation, openIdentity } from "./storage/identity.ts";
import { RocksStore } from "./storage/rocks.ts";
import { createLogger, type Logger, roomLog } from "./telemetry/log.ts";
import { LoopDelay } from "./telemetry/loop-delay.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { GrpcBulk } from "./transport/bulk-client.ts";
import { serveBulk } from "./transport/bulk-server.ts";
import { peerIdentity } from "./transport/credentials.ts";
import { WatchedCredentials } from "./transport/credentials-watch.ts";
import { clientListenerLimits, Listener, peerListenerLimits } from "./transport/listener.ts";
import { GrpcNetwork } from "./transport/network.ts";
import type { SelfAddress } from "./transport/ports.ts";
import { callIdentity } from "./transport/sessions.ts";
import { systemClock as clock, systemRandom as random } from "./transport/system-clock.ts";

const version = "0.1.0";
const featureLevel = 1;
/** A stop is over by then, however it goes, ms. */
const stopMs = 5_000;
/** Of which leadership may take, ms. */
const drainMs = 3_000;
/** How often free space and the token table are looked at, ms. */
const lookMs = 2_000;

const hashing: Hashing = {
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
  running() {
    const running = createHash("sha256");
    return { update: (bytes) => void running.update(bytes), digest: () => running.digest() };
  },
};

/** Free space of the disk, looked at now and then. */
class FreeSpace {
  bytes = Number.MAX_SAFE_INTEGER;
  readonly #dir: string;
  constructor(dir: string) {
    this.#dir = dir;
  }
  look(): void {
    const { bavail, bsize } = statfsSync(this.#dir);
    this.bytes = bavail * bsize;
  }
}

/** The token table, read again when the file changes. A file that is wrong keeps the former table. */
class Tokens {
  table: AccessTable;
  #text = "";
  readonly #settings: BoxSettings;
  constructor(settings: BoxSettings) {
    this.#settings = settings;
    this.table = { federation: settings.federation, tokens: [], users: [] };
  }
  look(): void {
    const { tokensFile, federation } = this.#settings;
    if (tokensFile === "") return;
    const text = readFileSync(tokensFile, "utf8");
    if (text === this.#text) return;
    const table = readAccessTable(federation, JSON.parse(text));
    if (isRefusal(table)) throw new NexusError("INVALID", `${tokensFile}: ${table.message}`);
    this.table = table;
    this.#text = text;
  }
}

async function openDisk(settings: BoxSettings, onFatal: (error: unknown) => void) {
  const store = await RocksStore.open(join(settings.dir, "state"));
  const identity = await openIdentity(store, random);
  const salt = Buffer.from(identity.incarnation).readUInt32BE(0);
  const logDisk = new NodeDisk(join(settings.dir, "log"));
  const opened = await SegmentLog.open(logDisk, { salt });
  const database = await BoxDatabase.open({ store, clock, onFatal });
  const blobs = await LocalBlobs.open(join(settings.dir, "chunks"), clock);
  return { store, identity, opened, database, blobs };
}

async function run(settings: BoxSettings, logger: Logger): Promise<() => Promise<void>> {
  const onFatal = (error: unknown) => {
    logger.error({ reason: messageOf(error) }, "the disk or the log can no longer be trusted; the box ends");
    setImmediate(() => process.exit(1));
  };
  const disk = await openDisk(settings, onFatal);
  const { identity, blobs, database, opened } = disk;
  const self: SelfAddress = {
    federation: settings.federation,
    box: settings.box,
    incarnation: identity.incarnation,
    featureLevel,
    version,
  };
  const free = new FreeSpace(settings.dir);
  const tokens = new Tokens(settings);
  free.look();
  tokens.look();
  const listeners: Listener[] = [];
  const credentials = new WatchedCredentials(clock, dirname(settings.tls.cert), {
    changed: (next) => {
      for (const listener of listeners) listener.reload(next);
    },
    failed: (reason) => logger.warn({ reason }, "renewed certificates are not usable; the former ones stay"),
  });
  const current = () => credentials.current;
  const network = new GrpcNetwork({ clock, random, self, credentials: current });
  const bulk = new GrpcBulk({ clock, self, credentials: current, address: (box) => network.address(box) });
  const states = new MachineStates(database);
  const diskLow = () => free.bytes < settings.diskReserveBytes;
  const host = new GroupHost(
    { box: settings.box, incarnation: identity.incarnation },
    {
      clock,
      random,
      log: opened.log,
      states,
      network,
      bulk,
      chunks: new ChunkPuller({ store: blobs, transfer: bulk, hashing }),
      diskLow,
      featureLevelOf: () => featureLevel,
      onFatal,
    },
    { recovered: opened.groups.values(), corrupt: opened.corrupt },
  );
  let federationUid = identity.federationUid;
  const node = new BoxNode({
    identity: { box: settings.box, federation: settings.federation, region: settings.region },
    version,
    disk: {
      incarnation: identity.incarnation,
      federationUid: () => federationUid,
      join: async (uid) => {
        federationUid = (await joinFederation(disk.store, uid)).federationUid;
      },
      low: diskLow,
    },
    groups: host,
    machines: states,
    network,
    chunks: blobs,
    transfer: bulk,
    hashing,
    mapFile: new DiskMapFile(join(settings.dir, "map"), (error) =>
      logger.warn({ reason: messageOf(error) }, "the rule map could not be kept on disk"),
    ),
    seeds: settings.peers,
    clock,
    random,
    limits: defaultBoxLimits,
    log: roomLogger(logger),
    problems: () => (diskLow() ? [`less than ${settings.diskReserveBytes} bytes are free`] : []),
  });
  const { box } = node;
  host.start();
  const access = new Access({ table: () => tokens.table, sha256: (text) => hashing.sha256(utf8(text)), clock });
  const needs = {
    box,
    authenticator: access,
    identityOf: (call: object) => callIdentity(call as Parameters<typeof callIdentity>[0]),
    defer: (fn: () => void) => clock.defer(fn),
    audit: (principal: string, action: string) => logger.info({ principal, action }, "admin call"),
  };
  const peer = new Listener({
    ...settings.peer,
    ...peerListenerLimits,
    security: { kind: "tls", credentials: current(), clientCertificate: "required" },
  });
  network.serveOn(peer.grpc);
  const bulkServer = {
    snapshot: host.receiveSnapshot.bind(host),
    putChunk: async (_from: unknown, chunk: { address: Uint8Array }, data: Uint8Array) => {
      if (diskLow()) return refuse("DISK_FULL", `box ${settings.box} has no space for content`);
      await blobs.put(chunk.address, data);
      return undefined;
    },
    getChunk: (_from: unknown, chunk: { address: Uint8Array }) => blobs.get(chunk.address),
  };
  serveBulk(peer.grpc, { self, admit: () => undefined, server: bulkServer });
  peer.grpc.addService(AdminService, adminDoor(needs));
  const metrics = createMetrics({ processMetrics: true });
  const loop = new LoopDelay(clock);
  const scrape = async () => {
    readGauges({
      box,
      metrics,
      loop,
      freeBytes: () => free.bytes,
      version,
      connections: () => ({ client: client.connections, peer: peer.connections }),
      peersUp: () => ({ raft: network.connections("raft").out, forward: network.connections("forward").out }),
    });
    return metrics.registry.metrics();
  };
  const door = await httpDoor({ ...needs, identityOf: peerIdentity, metrics: scrape, version });
  const client = new Listener(
    {
      ...settings.client,
      ...clientListenerLimits,
      security: settings.plainClient
        ? { kind: "plain" }
        : { kind: "tls", credentials: current(), clientCertificate: "optional" },
    },
    { http: door.server },
  );
  client.grpc.addService(FilesService, filesDoor(needs));
  client.grpc.addService(LocksService, locksDoor(needs));
  client.grpc.addService(AdminService, adminDoor(needs));
  listeners.push(peer, client);
  const peerPort = await peer.start();
  const clientPort = await client.start();
  const health = settings.health === undefined ? undefined : healthServer(settings.health, box);
  node.start();
  loop.start();
  credentials.start();
  const looking = setInterval(() => {
    try {
      free.look();
      tokens.look();
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, "free space or token table could not be read");
    }
  }, lookMs);
  logger.info({ peerPort, clientPort, version }, "box listens");
  return async () => {
    clearInterval(looking);
    credentials.stop();
    await node.drain(drainMs);
    node.stop();
    loop.stop();
    health?.close();
    await Promise.all([client.stop(), door.close()]);
    await network.stop();
    await peer.stop();
    host.stop();
    await opened.log.close();
    await database.close();
  };
}

function roomLogger(logger: Logger) {
  const room = roomLog(logger, "box");
  return {
    info: (message: string, fields: Record<string, unknown> = {}) => room.info(fields, message),
    warn: (message: string, fields: Record<string, unknown> = {}) => room.warn(fields, message),
  };
}

function healthServer(at: { host: string; port: number }, box: BoxNode["box"]): http.Server {
  const server = http.createServer((request, response) => {
    const { ready } = box.health();
    const ok = request.url === "/healthz" || (request.url === "/readyz" && ready);
    response.writeHead(ok ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(box.health()));
  });
  server.listen(at.port, at.host);
  return server;
}

async function main(): Promise<void> {
  const at = process.argv.indexOf("--config");
  const path = at < 0 ? process.env["NEXUS_CONFIG"] : process.argv[at + 1];
  if (path === undefined) throw new NexusError("INVALID", "usage: box --config FILE.json");
  const settings = readBoxSettings(JSON.parse(readFileSync(path, "utf8")), process.env);
  const logger = createLogger({ level: settings.log, fields: { federation: settings.federation, box: settings.box } });
  const stop = await run(settings, logger);
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
