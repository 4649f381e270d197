import { MemoryDisk } from "../log/disk-memory.ts";
import type { PeerAddress } from "../transport/ports.ts";
import { Life, ProcessClock, type Wall } from "./life.ts";
import { ProcessNetwork } from "./network.ts";
import type { World } from "./world.ts";

/** How a process ends: the machine loses power, or only the process is killed and the machine's caches survive. */
export type Death = "power" | "kill";

/** Until the supervisor starts a process again that could not start or ended itself, ms. */
const restartMs = 300;
/** Latency of one disk operation, ms: least, and what is drawn on top. */
const diskMs = { least: 0.05, more: 0.4 };

/** What survives a process at rest. */
export interface Image {
  readonly incarnation: Buffer;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** A process with its machine: what survives its lives, and the life it has now. */
export abstract class Process {
  readonly name: string;
  readonly world: World;
  readonly wall: Wall = { offsetMs: 0 };
  incarnation: Buffer;
  disk: MemoryDisk;
  life: Life;
  network: ProcessNetwork | undefined;
  /** True when the process has started and serves. */
  up = false;
  /** Count of starts; tells the answers of an earlier life. */
  lives = 0;
  /** Faults that may end the process by themselves are injected: a fatal error is no surprise. */
  mayFail = false;
  /** Given up: nobody starts it. */
  gone = false;
  /** The disk was exchanged or lost what it held. */
  wiped = 0;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.incarnation = Buffer.from(world.random.bytes(16));
    this.disk = this.newDisk();
    this.life = new Life(world.clock);
    this.life.end();
  }

  abstract readonly address: PeerAddress;
  /** Opens the disk and begins to serve. */
  protected abstract open(clock: ProcessClock, life: Life): Promise<void>;
  /** Everything in memory is gone; what survives is what the death leaves. */
  protected abstract lose(death: Death): void;
  protected abstract replaceDisk(): void;

  newDisk(files = new Map<string, Uint8Array>()): MemoryDisk {
    const { clock, random } = this.world;
    const schedule = (done: () => void) =>
      void clock.after(diskMs.least + random.unit() * diskMs.more, () => this.life.run(done));
    return new MemoryDisk({ schedule }, files);
  }

  /** A copy of all that is on the disk, for `restore` in another world. */
  image(): Image {
    return { incarnation: this.incarnation, files: copied(this.disk.files) };
  }

  /** Begins with that disk; before the first start. */
  restore(image: Image): void {
    this.incarnation = image.incarnation;
    this.disk = this.newDisk(copied(image.files));
  }

  get running(): boolean {
    return this.life.alive;
  }

  start(): void {
    if (this.life.alive || this.gone) return;
    const life = new Life(this.world.clock);
    this.life = life;
    this.lives++;
    const self = {
      federation: "fed",
      box: this.name,
      incarnation: this.incarnation,
      featureLevel: 1,
      version: "1",
    };
    this.network = new ProcessNetwork(this.world.hub, { self, endpoint: `${this.name}:1`, life });
    this.world.trace.note("start", this.name);
    this.open(new ProcessClock(this.world.clock, life, this.wall), life).then(
      () => {
        if (!life.alive) return;
        this.up = true;
        this.world.met(this);
      },
      (error: unknown) => life.alive && this.failed(error),
    );
  }

  crash(death: Death): void {
    if (!this.life.alive) return;
    this.world.trace.note("crash", this.name, death);
    this.up = false;
    this.life.end();
    this.network?.crash();
    this.disk = this.disk.crash(this.world.random);
    this.lose(death);
  }

  /** A disk with nothing on it: another incarnation under the same name. The process must be down. */
  wipe(): void {
    this.wiped++;
    this.incarnation = Buffer.from(this.world.random.bytes(16));
    this.disk = this.newDisk();
    this.replaceDisk();
  }

  /** The process ends itself; the supervisor starts it again. */
  failed(error: unknown): void {
    if (!this.life.alive) return;
    if (!this.mayFail) this.world.fail(error);
    this.world.trace.note("fatal", this.name, error instanceof Error ? error.message : String(error));
    this.crash("kill");
    this.world.clock.after(restartMs, () => this.start());
  }
}

function copied(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map(Array.from(files, ([name, bytes]) => [name, bytes.slice()]));
}
