import type { Command, Operation } from "@nexus-federation/proto/command.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import { must } from "../../base/assert.ts";
import type { Clock, Random } from "../../base/clock.ts";
import type { Refusal } from "../../base/errors.ts";
import { seededRandom } from "../../base/seeded-random.ts";
import { MemoryDisk } from "../../log/disk-memory.ts";
import { SegmentLog } from "../../log/segment-log.ts";
import type { Machine } from "../../machine/machine.ts";
import { BoxDatabase } from "../../storage/database.ts";
import { MemoryDurableStore } from "../../storage/durable-store.ts";
import { MemoryNetwork } from "../../transport/memory.ts";
import { MemoryBulk } from "../../transport/memory-bulk.ts";
import { MemoryHub } from "../../transport/memory-hub.ts";
import type { PeerAddress } from "../../transport/ports.ts";
import { RecordStore } from "../../witness/records.ts";
import { serveWitness } from "../../witness/serve.ts";
import { WitnessServer } from "../../witness/server.ts";
import type { BootstrapCall, GroupView, Outcome } from "../api.ts";
import { GroupHost } from "../host.ts";
import { MachineStates } from "../machine-states.ts";
import type { HostSettings } from "../settings.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface ClusterSettings {
  seed?: number;
  host?: Partial<HostSettings>;
  /** Latency of a durable write, ms. */
  diskMs?: number;
  /** Raft events to the console. */
  verbose?: boolean;
}

/** Boxes with a real host, log, database and machine each, over a virtual clock, disk and network. */
export class Cluster {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly hub: MemoryHub;
  readonly boxes = new Map<string, Box>();
  readonly settings: ClusterSettings;

  constructor(settings: ClusterSettings = {}) {
    this.settings = settings;
    this.random = seededRandom(settings.seed ?? 1);
    this.hub = new MemoryHub(this.clock, this.random);
  }

  /** Adds boxes and starts them; a name that starts with "w" is a witness. */
  async start(...names: string[]): Promise<void> {
    for (const name of names) {
      const box = new Box(this, name);
      this.boxes.set(name, box);
      await box.start();
    }
    await this.run(100);
  }

  box(name: string): Box {
    return must(this.boxes.get(name), `box ${name}`);
  }

  run(ms: number): Promise<void> {
    return this.clock.run(ms);
  }

  /** Runs until it is so; fails after `ms`. */
  async until(condition: () => boolean, ms = 10_000, what = "the condition"): Promise<void> {
    for (const end = this.clock.now() + ms; !condition(); ) {
      if (this.clock.now() > end) throw new Error(`${what} did not come true: ${this.describe()}`);
      await this.run(1);
    }
  }

  /** Runs until the promise settles. */
  async settle<T>(promise: Promise<T>, ms = 15_000): Promise<T> {
    let value: { value: T } | undefined;
    let failure: { error: unknown } | undefined;
    promise.then(
      (result) => (value = { value: result }),
      (error: unknown) => (failure = { error }),
    );
    await this.until(() => value !== undefined || failure !== undefined, ms, "the call");
    if (failure !== undefined) throw failure.error;
    return must(value, "value").value;
  }

  describe(log = 1): string {
    const lines: string[] = [];
    for (const [name, box] of this.boxes) {
      const view = box.up && !box.isWitness ? box.host.view(log) : undefined;
      if (view === undefined) lines.push(`${name}: ${box.up ? "no replica" : "down"}`);
      else {
        const { role, term, commit, applied, witnessMode, leaderBox, needsReplication } = view;
        lines.push(
          `${name}: ${role} of ${leaderBox} term ${term} commit ${commit} applied ${applied} ${witnessMode}` +
            `${needsReplication ? " mute" : ""} voters ${view.config.voters} learners ${view.config.learners}`,
        );
      }
    }
    return `at ${Math.round(this.clock.now())} ms\n${lines.join("\n")}`;
  }

  member(name: string, replica: number): LogMember {
    const box = this.box(name);
    const role = box.isWitness ? "witness" : "voter";
    return { replica, box: name, incarnation: box.isWitness ? Buffer.alloc(0) : box.incarnation, role };
  }

  /** Bootstraps a log from the first box named. */
  async bootstrap(names: string[], log = 1): Promise<void> {
    const members = names.map((name, i) => this.member(name, i + 1));
    const call: BootstrapCall = {
      log,
      zone: `zone-${log}`,
      federationUid: "fed",
      generation: 1,
      timing: "region",
      members,
    };
    const refusal = await this.settle(this.box(must(names[0], "initiator")).host.bootstrap(call));
    if (refusal !== undefined) throw new Error(refusal.message);
    await this.apply({ op: { $case: "own", value: { pattern: "/**", exclusions: [], epoch: 1 } } }, log);
  }

  leader(log = 1): Box | undefined {
    let best: Box | undefined;
    for (const box of this.boxes.values()) {
      const view = box.view(log);
      if (view?.isLeader && view.applied > 0 && view.term > (best?.view(log)?.term ?? 0)) best = box;
    }
    return best;
  }

  /** Waits until some box leads and has proved it by a write. */
  async elected(log = 1): Promise<Box> {
    await this.until(() => this.leader(log) !== undefined, 5_000, "an election");
    return must(this.leader(log), "leader");
  }

  /** Writes on whoever leads, again and again until it is applied; returns the outcome. */
  put(path: string, content: string, log = 1): Promise<Extract<Outcome, { kind: "applied" }>> {
    return this.apply(must(putCommand(path, content).operation, "operation"), log);
  }

  async apply(operation: Operation, log = 1): Promise<Extract<Outcome, { kind: "applied" }>> {
    for (let tries = 0; tries < 200; tries++) {
      const leader = this.leader(log);
      const outcome = leader === undefined ? undefined : await this.settle(leader.propose(commandOf(operation), log));
      if (outcome?.kind === "applied") {
        const { result } = outcome.reply;
        if (result?.$case === "failure") throw new Error(result.value.message);
        return outcome;
      }
      await this.run(20);
    }
    throw new Error(`nothing was applied: ${this.describe(log)}`);
  }
}

/** One box, over crashes and restarts. */
export class Box {
  readonly name: string;
  readonly isWitness: boolean;
  host!: GroupHost;
  states!: MachineStates;
  witness: WitnessServer | undefined;
  network!: MemoryNetwork;
  incarnation: Buffer;
  up = false;
  fatal: unknown;
  diskLow = false;
  /** How late its event loop says it was. */
  loopDelayMs = 0;
  /** Callbacks that wait until its event loop turns again; undefined while it does. */
  #blocked: (() => void)[] | undefined;
  /** Since the start. */
  diskWrites = 0;
  /** Chunks that are durable here, by their bytes in hex. */
  readonly chunks = new Set<string>();
  readonly #cluster: Cluster;
  disk: MemoryDisk;
  #store: MemoryDurableStore;

  constructor(cluster: Cluster, name: string) {
    this.#cluster = cluster;
    this.name = name;
    this.isWitness = name.startsWith("w");
    this.incarnation = Buffer.from(cluster.random.bytes(16));
    this.disk = this.#newDisk();
    this.#store = new MemoryDurableStore();
  }

  #newDisk(): MemoryDisk {
    const { clock, settings } = this.#cluster;
    return new MemoryDisk({
      schedule: (done, { kind }) => {
        if (kind === "write") this.diskWrites++;
        clock.after(settings.diskMs ?? 0.1, done);
      },
    });
  }

  async start(): Promise<void> {
    const { hub } = this.#cluster;
    const self = { federation: "fed", box: this.name, incarnation: this.incarnation, featureLevel: 1, version: "1" };
    this.network = new MemoryNetwork(hub, self, `${this.name}:1`);
    if (this.isWitness) await this.#startWitness();
    else await this.#startHost();
    this.up = true;
    for (const other of this.#cluster.boxes.values()) {
      if (other === this || !other.up) continue;
      if (!this.isWitness) this.network.setPeer(other.address);
      if (!other.isWitness) other.network.setPeer(this.address);
    }
  }

  get address(): PeerAddress {
    const services = this.isWitness ? (["witness"] as const) : (["raft"] as const);
    return { box: this.name, endpoint: `${this.name}:1`, incarnation: this.incarnation, services };
  }

  async #startWitness(): Promise<void> {
    const { random } = this.#cluster;
    const store = await this.#cluster.settle(RecordStore.open(this.disk, { recordsMax: 1000 }));
    this.witness = new WitnessServer({
      store,
      newIncarnation: () => random.bytes(16),
      onFatal: (error) => (this.fatal = error),
    });
    this.network.onServe("witness", serveWitness(this.witness));
  }

  /** Its event loop hangs until `unblock`. */
  block(): void {
    this.#blocked ??= [];
  }
  unblock(): void {
    const blocked = this.#blocked ?? [];
    this.#blocked = undefined;
    for (const run of blocked) run();
  }

  /** The cluster's clock as this box's event loop shows it. */
  #loopClock(): Clock {
    const { clock } = this.#cluster;
    const gated = (run: () => void) => () => void (this.#blocked === undefined ? run() : this.#blocked.push(run));
    return {
      now: () => clock.now(),
      wallMs: () => clock.wallMs(),
      after: (delayMs, run) => clock.after(delayMs, gated(run)),
      defer: (run) => clock.defer(gated(run)),
      soon: (run) => clock.soon(gated(run)),
    };
  }

  async #startHost(): Promise<void> {
    const { random, settings } = this.#cluster;
    const clock = this.#loopClock();
    const opened = await this.#cluster.settle(SegmentLog.open(this.disk, { segmentBytes: 4 << 20 }));
    const onFatal = (error: unknown) => (this.fatal = error);
    const database = await this.#cluster.settle(BoxDatabase.open({ store: this.#store, clock, onFatal }));
    this.states = new MachineStates(database);
    const has = (address: Uint8Array) => this.chunks.has(Buffer.from(address).toString("hex"));
    const say = (text: string) => console.log(`${Math.round(clock.now())} ${this.name} ${text}`);
    this.host = new GroupHost(
      { box: this.name, incarnation: this.incarnation },
      {
        clock,
        random,
        log: opened.log,
        states: this.states,
        network: this.network,
        bulk: new MemoryBulk(this.network, () => undefined),
        chunks: { has, fetch: (_log, addresses, boxes) => this.#fetch(addresses, boxes) },
        diskLow: () => this.diskLow,
        loopDelayMs: () => this.loopDelayMs,
        featureLevelOf: () => 1,
        onFatal,
        logger: settings.verbose ? { info: say, warning: say, error: say } : undefined,
      },
      { recovered: opened.groups.values(), corrupt: opened.corrupt, settings: settings.host },
    );
    this.network.bulkServer = {
      snapshot: (from, start, data) => this.host.receiveSnapshot(from, start, data),
      putChunk: async () => undefined,
      getChunk: async () => undefined,
    };
    this.host.start();
  }

  async #fetch(addresses: readonly Uint8Array[], boxes: readonly string[]): Promise<void> {
    for (const address of addresses) {
      const key = Buffer.from(address).toString("hex");
      const holder = boxes.find((box) => this.#cluster.boxes.get(box)?.chunks.has(key));
      if (holder === undefined) throw new Error("nobody holds the chunk");
      this.chunks.add(key);
    }
  }

  /** Power loss: nothing unsynced is sure to survive. */
  crash(): void {
    this.up = false;
    this.host?.stop();
    this.network.crash();
    this.disk = this.disk.crash(this.#cluster.random);
    this.#store = this.#store.crash(this.#cluster.random);
  }

  /** The disk is new: another incarnation under the same name. */
  wipe(): void {
    this.incarnation = Buffer.from(this.#cluster.random.bytes(16));
    this.disk = this.#newDisk();
    this.#store = new MemoryDurableStore();
  }

  /** Fails with its disk, and comes back with a new one. */
  async loseDisk(): Promise<void> {
    this.crash();
    this.wipe();
    await this.start();
  }

  /** Loses the applied state, but not the log. */
  loseState(): void {
    this.#store = new MemoryDurableStore();
  }

  view(log = 1): GroupView | undefined {
    return this.up && !this.isWitness ? this.host.view(log) : undefined;
  }

  machine(log = 1): Machine {
    return must(this.states.machine(log), `machine of log ${log}`);
  }

  /** Inline content of a file in the local state; undefined when there is none. */
  content(path: string, log = 1): string | undefined {
    const found = this.machine(log).read(path);
    return "code" in found ? undefined : Buffer.from(found.content).toString();
  }

  propose(command: Command, log = 1, timeoutMs = 2_000): Promise<Outcome> {
    return new Promise((resolve) => this.host.propose(log, { command, timeoutMs, done: resolve }));
  }

  readIndex(log = 1, timeoutMs = 2_000): Promise<Refusal | number> {
    return new Promise((resolve) => this.host.readIndex(log, (refusal, index) => resolve(refusal ?? index), timeoutMs));
  }
}

/** A put of inline content; its etag is not looked at by the machine. */
export function putCommand(path: string, content: string, more: { chunks?: Buffer[] } = {}): Command {
  const bytes = Buffer.from(content);
  const chunks = (more.chunks ?? []).map((address) => ({ address, size: 1 }));
  const value = {
    path,
    content: chunks.length > 0 ? Buffer.alloc(0) : bytes,
    chunks,
    size: chunks.length > 0 ? chunks.length : bytes.length,
    etag: Buffer.alloc(32),
    contentType: "",
    metadata: {},
    condition: undefined,
    uploadIndex: 0,
  };
  return commandOf({ op: { $case: "write", value } });
}

export function commandOf(operation: Operation): Command {
  return { requestId: Buffer.alloc(0), requestTimeMs: 0, principal: "test", logTimeMs: 0, operation };
}
