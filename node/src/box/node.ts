import type { BoxRecord } from "@nexus-federation/proto/records.ts";
import { equalBytes, hexOf } from "../base/bytes.ts";
import type { Clock, Random } from "../base/clock.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { ChunkPins } from "../blobs/orphans.ts";
import type { Groups } from "../group/api.ts";
import type { PeerNetwork } from "../transport/ports.ts";
import { LogEngine } from "../zones/log-engine.ts";
import { Admin } from "./admin.ts";
import { AdminCalls } from "./admin-calls.ts";
import type { BoxDisk } from "./admin-status.ts";
import { Box, type BoxIdentity } from "./box.ts";
import {
  ChunkCollection,
  type CollectionNeeds,
  type CollectionSettings,
  defaultCollection,
} from "./chunk-collection.ts";
import { DestroyedZones } from "./destroyed-zones.ts";
import { Directory } from "./directory.ts";
import { ForwardLinks, type ServeForwarded } from "./forward-link.ts";
import { Handover } from "./handover.ts";
import type { BoxLimits } from "./limits.ts";
import { MemberReports } from "./member-reports.ts";
import type { BoxLog, ChunkStore, ChunkTransfer, Hashing, MapFile } from "./ports.ts";
import { DirectorySync } from "./sync.ts";
import { BoxStates, type MachineOwner } from "./zone-states.ts";

/** A box to talk to before any map is known. */
export interface Seed {
  box: string;
  endpoint: string;
}

export interface NodeNeeds {
  identity: BoxIdentity;
  version: string;
  disk: BoxDisk;
  groups: Groups & { logs(): number[] };
  machines: MachineOwner & CollectionNeeds["machines"];
  network: PeerNetwork;
  chunks: ChunkStore;
  transfer: ChunkTransfer;
  hashing: Hashing;
  mapFile: MapFile;
  seeds: readonly Seed[];
  clock: Clock;
  random: Random;
  limits: BoxLimits;
  log: BoxLog;
  problems(): string[];
  /** The whole of the chunk store, so that orphans are collected; without it none are. */
  blobs?: BlobStore;
  collection?: CollectionSettings;
  /** Counts what other boxes forward. */
  meterPeers?(serve: ServeForwarded): ServeForwarded;
}

/** Everything of a box above its drivers, wired: the same parts for the process and for the simulator. */
export class BoxNode {
  readonly box: Box;
  readonly directory: Directory;
  readonly #needs: NodeNeeds;
  readonly #sync: DirectorySync;
  readonly #handover: Handover;
  readonly #destroyed: DestroyedZones;
  readonly #reports: MemberReports;
  readonly #collection: ChunkCollection | undefined;
  /** Boxes of the map that this one is connected to, or tries to be. */
  readonly #met = new Set<string>();
  #draining = false;

  constructor(needs: NodeNeeds) {
    this.#needs = needs;
    const { identity, groups, network, clock, random, seeds } = needs;
    const states = new BoxStates(needs.machines, groups);
    const directory = new Directory(needs.mapFile);
    this.directory = directory;
    const engine = new LogEngine({ groups, states, places: directory, clock });
    const serve: ServeForwarded = (request, caller, done) => this.box.handle(request, caller, done);
    const forward = new ForwardLinks({
      network,
      clock,
      serve: needs.meterPeers?.(serve) ?? serve,
      admit: (box, incarnation) => this.#admit(box, incarnation),
    });
    const seedNames = seeds.map((seed) => seed.box);
    const sync = new DirectorySync({
      ...needs,
      self: identity.box,
      directory,
      source: states,
      forward,
      seeds: seedNames,
    });
    this.#sync = sync;
    const refreshMap = (heardEpoch: number) => sync.refresh(heardEpoch);
    const latestMap = (done: () => void) => sync.latest(done);
    const pins = new ChunkPins();
    this.box = new Box({ ...needs, pins, engine, logs: engine.logs, directory, forward, refreshMap, latestMap });
    const { ask } = this.box;
    const { blobs: store, collection: settings = defaultCollection } = needs;
    this.#collection = store && new ChunkCollection({ ...needs, store, pins, ask, settings });
    this.#handover = new Handover({ ask, source: states, groups, clock, log: needs.log });
    this.#reports = new MemberReports({ groups, ask, clock, source: states });
    this.#destroyed = new DestroyedZones({ ask, forward, groups, clock, source: states, self: identity.box });
    const shared = { ...needs, ask, directory, states, source: states, forward, handover: this.#handover };
    const destroyed = this.#destroyed;
    const status = { ...shared, draining: () => this.#draining };
    const calls = new AdminCalls({ ...shared, destroyed, random, meet: (boxes) => this.#meet(boxes) });
    const backups = { ...shared, box: this.box };
    this.box.useAdmin(
      new Admin({
        status,
        calls,
        backups,
        ask,
        drain: (timeoutMs) => this.drain(timeoutMs),
        undrain: () => this.undrain(),
      }),
    );
  }

  start(): void {
    this.#meet(this.directory.boxes);
    this.directory.onChange(() => this.#meet(this.directory.boxes));
    this.#sync.start();
    this.#handover.start();
    this.#destroyed.start();
    this.#reports.start();
    this.#collection?.start();
  }

  /** Stops proposing and hands leadership over. */
  drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    return this.#needs.groups.drain(timeoutMs);
  }

  /** Serves again as before the drain. */
  undrain(): void {
    this.#draining = false;
    this.#needs.groups.undrain();
  }

  stop(): void {
    this.#sync.stop();
    this.#handover.stop();
    this.#destroyed.stop();
    this.#reports.stop();
    this.#collection?.stop();
  }

  #meet(boxes: readonly BoxRecord[]): void {
    const { identity, network } = this.#needs;
    for (const name of this.#met) {
      if (this.directory.box(name) !== undefined || boxes.some((box) => box.name === name)) continue;
      this.#met.delete(name);
      network.removePeer(name);
    }
    for (const { name, peerEndpoint, incarnation, role } of boxes) {
      if (name === identity.box || peerEndpoint === "") continue;
      if (this.directory.box(name) !== undefined) this.#met.add(name);
      const services = role === "Witness" ? (["witness"] as const) : (["raft", "forward"] as const);
      network.setPeer({ box: name, endpoint: peerEndpoint, incarnation, services });
    }
  }

  /**
   * Another box opens a stream. A registered name speaks with its registered incarnation only. One that is not known
   * here yet, of a federation that has just begun, is answered at the endpoint that the settings give for it.
   */
  #admit(box: string, incarnation: Uint8Array): Refusal | undefined {
    const known = this.directory.box(box);
    if (known !== undefined) {
      if (equalBytes(known.incarnation, incarnation)) return undefined;
      return refuse("DENIED", `box ${box} is registered with another incarnation than ${hexOf(incarnation)}`);
    }
    const seed = this.#needs.seeds.find((one) => one.box === box);
    const services = ["raft", "forward"] as const;
    if (seed !== undefined) this.#needs.network.setPeer({ box, endpoint: seed.endpoint, incarnation, services });
    return undefined;
  }
}
