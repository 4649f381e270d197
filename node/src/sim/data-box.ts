import { createHash, hash } from "node:crypto";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { hexOf } from "../base/bytes.ts";
import type { Caller } from "../box/api.ts";
import { ChunkPuller } from "../box/chunk-keeper.ts";
import { defaultBoxLimits } from "../box/limits.ts";
import { BoxNode } from "../box/node.ts";
import type { ChunkStore, Hashing } from "../box/ports.ts";
import { GroupHost } from "../group/host.ts";
import { MachineStates } from "../group/machine-states.ts";
import type { HostNeeds, States } from "../group/ports.ts";
import { SegmentLog } from "../log/segment-log.ts";
import { BoxDatabase } from "../storage/database.ts";
import { MemoryDurableStore } from "../storage/durable-store.ts";
import { MemoryBulk } from "../transport/memory-bulk.ts";
import type { PeerAddress } from "../transport/ports.ts";
import { systemLog } from "../tree/system-zone.ts";
import type { Life, ProcessClock } from "./life.ts";
import { type Death, type Image, Process } from "./process.ts";
import { ReplicaWatch } from "./replica-watch.ts";
import { checkFrame } from "./told-watch.ts";

/** Small, so that a run of seconds sees new segments, reclamation, compaction and snapshots. */
const logSettings = { segmentBytes: 256 << 10, frameBytesMax: 64 << 10, segmentsBeforeRelocation: 2 };
const hostSettings = { compactEntries: 60, keepEntries: 10, caughtUpEntries: 16 };
const databaseSettings = { flushAfterMs: 150 };
/** Least free bytes before proposals are refused. */
const reserveBytes = 64 << 10;

const hashing: Hashing = {
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
  running() {
    const running = createHash("sha256");
    return { update: (bytes) => void running.update(bytes), digest: () => running.digest() };
  },
};

/** What is durable beside the log: applied state, chunks, the map, the federation's id. */
interface BoxImage extends Image {
  readonly state: ConstructorParameters<typeof MemoryDurableStore>[1];
  readonly chunks: ReadonlyMap<string, Uint8Array>;
  readonly map: Uint8Array | undefined;
  readonly uid: string;
}

/** Somebody with all rights. */
export const anyone: Caller = { principal: "sim", kind: "client", check: () => undefined };

/** One data box: the real host, log, machine, zones and box over simulated clock, network and disk. */
export class DataBox extends Process {
  host: GroupHost | undefined;
  states: MachineStates | undefined;
  node: BoxNode | undefined;
  /** What the log on this disk holds, as the observer knows it. */
  watch = new ReplicaWatch(this);
  #store = this.#newStore([]);
  /** Durable: chunks, the last known map, the federation this disk belongs to. */
  #chunks = new Map<string, Uint8Array>();
  #map: Uint8Array | undefined;
  #uid = "";

  get address(): PeerAddress {
    const services = ["raft", "forward"] as const;
    return { box: this.name, endpoint: `${this.name}:1`, incarnation: this.incarnation, services };
  }

  #newStore(content: ConstructorParameters<typeof MemoryDurableStore>[1]): MemoryDurableStore {
    const { clock, random } = this.world;
    return new MemoryDurableStore((done) => clock.after(0.5 + random.unit() * 3, () => this.life.run(done)), content);
  }

  override image(): BoxImage {
    const state = [...this.#store.scan({ from: "" })];
    return { ...super.image(), state, chunks: new Map(this.#chunks), map: this.#map, uid: this.#uid };
  }

  override restore(image: BoxImage): void {
    super.restore(image);
    this.#store = this.#newStore(image.state);
    this.#chunks = new Map(image.chunks);
    this.#map = image.map;
    this.#uid = image.uid;
  }

  protected async open(clock: ProcessClock, life: Life): Promise<void> {
    const onFatal = (error: unknown) => this.failed(error);
    const salt = this.incarnation.readUInt32BE(0);
    const opened = await SegmentLog.open(this.disk, { ...logSettings, salt });
    if (!life.alive) return;
    this.watch.recovered(opened.groups.values(), opened.corrupt);
    const database = await BoxDatabase.open({ store: this.#store, clock, onFatal }, databaseSettings);
    if (!life.alive) return;
    this.states = new MachineStates(database);
    this.host = this.#newHost(clock, { log: opened.log, states: this.watch.states(this.states), onFatal }, opened);
    this.watch.listen(this.host);
    if (this.network !== undefined) this.network.onFrame = (bytes) => checkFrame(this, bytes);
    this.node = this.#newNode(clock, this.host, this.states);
    this.host.start();
    this.node.start();
  }

  #newHost(
    clock: ProcessClock,
    parts: { log: SegmentLog; states: States; onFatal: HostNeeds["onFatal"] },
    opened: Awaited<ReturnType<typeof SegmentLog.open>>,
  ): GroupHost {
    const { world, network } = this;
    if (network === undefined) throw new Error("a process has a network");
    const bulk = new MemoryBulk(network, () => undefined);
    const { log, states, onFatal } = parts;
    const say = (text: string) => world.trace.say(this.name, text);
    const host = new GroupHost(
      { box: this.name, incarnation: this.incarnation },
      {
        clock,
        random: world.random,
        log: this.watch.log(log),
        states,
        network,
        bulk,
        chunks: new ChunkPuller({ store: this.#chunkStore(), transfer: bulk, hashing }),
        diskLow: () => this.diskLow,
        featureLevelOf: () => 1,
        onFatal,
        logger: world.trace.verbose ? { info: say, warning: say, error: say } : undefined,
      },
      {
        recovered: opened.groups.values(),
        corrupt: opened.corrupt,
        settings: { ...hostSettings, ...world.hostSettings },
      },
    );
    const chunks = this.#chunkStore();
    network.serveBulk({
      snapshot: (from, start, data) => host.receiveSnapshot(from, start, data),
      putChunk: async (_from, chunk, data) => void (await chunks.put(chunk.address, data)),
      getChunk: async (_from, chunk) => chunks.get(chunk.address),
    });
    return host;
  }

  get diskLow(): boolean {
    let used = 0;
    for (const bytes of this.disk.files.values()) used += bytes.length;
    return this.disk.capacityBytes - used < reserveBytes;
  }

  #newNode(clock: ProcessClock, host: GroupHost, states: MachineStates): BoxNode {
    const { world, network } = this;
    if (network === undefined) throw new Error("a process has a network");
    return new BoxNode({
      identity: { box: this.name, federation: "fed", region: `region-${this.name}` },
      version: "1",
      disk: {
        incarnation: this.incarnation,
        federationUid: () => this.#uid,
        join: async (uid) => {
          this.#uid = uid;
        },
        low: () => this.diskLow,
      },
      groups: host,
      machines: states,
      network,
      chunks: this.#chunkStore(),
      transfer: new MemoryBulk(network, () => undefined),
      hashing,
      mapFile: {
        load: () => this.#map,
        save: (bytes) => {
          this.#map = bytes;
        },
      },
      seeds: [...world.processes.keys()].map((box) => ({ box, endpoint: `${box}:1` })),
      clock,
      random: world.random,
      limits: defaultBoxLimits,
      log: {
        info: () => undefined,
        warn: (text, fields) => world.trace.say(this.name, `${text} ${JSON.stringify(fields)}`),
      },
      problems: () => [],
    });
  }

  #chunkStore(): ChunkStore {
    const held = this.#chunks;
    const { clock, random } = this.world;
    const { life } = this;
    return {
      has: (address) => held.has(hexOf(address)),
      put: (address, data) =>
        new Promise((resolve) => {
          const bytes = Uint8Array.from(data);
          clock.after(0.2 + random.unit() * 2, () =>
            life.run(() => {
              held.set(hexOf(address), bytes);
              resolve();
            }),
          );
        }),
      get: async (address) => held.get(hexOf(address)),
    };
  }

  /** A hand-over is under way, as far as this box knows. */
  get pendingMap(): boolean {
    return this.states?.machine(systemLog)?.system.pendingMap() !== undefined;
  }

  holdsChunk(address: Uint8Array): boolean {
    return this.#chunks.has(hexOf(address));
  }

  /** A request as a door hands it in; `done` comes in the process's own time. */
  handle(request: Request, done: (response: Response) => void): void {
    const { life } = this;
    life.run(() => {
      if (this.node === undefined || !this.up) return;
      this.node.box.handle(request, anyone, (response) => life.run(() => done(response)));
    });
  }

  protected lose(death: Death): void {
    this.host = undefined;
    this.node = undefined;
    this.states = undefined;
    if (death === "power") this.#store = this.#store.crash(this.world.random);
    else this.#store = this.#newStore([...this.#store.scan({ from: "" })]);
  }

  protected replaceDisk(): void {
    this.#store = this.#newStore([]);
    this.#chunks = new Map();
    this.#map = undefined;
    this.#uid = "";
    this.watch = new ReplicaWatch(this);
  }
}
