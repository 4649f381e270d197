import type { Receipt } from "@nexus-federation/proto/records.ts";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import { must } from "../base/assert.ts";
import type { Random } from "../base/clock.ts";
import { seededRandom } from "../base/seeded-random.ts";
import type { HostSettings } from "../group/settings.ts";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { MemoryHub } from "../transport/memory-hub.ts";
import { DataBox } from "./data-box.ts";
import { LogFacts } from "./log-facts.ts";
import type { Process } from "./process.ts";
import { Trace } from "./trace.ts";
import { type Moment, Triggers } from "./triggers.ts";
import { require, Violation } from "./violation.ts";
import { WitnessBox } from "./witness-box.ts";

/** A client's view of a call: answered, or nothing heard in time. */
export interface Heard {
  response: Response | undefined;
  /** When the box answered; undefined when unheard. */
  answeredMs: number;
}

/** One-way delay between a client and a box, ms: least, and what is drawn on top. */
const clientDelayMs = { least: 0.1, more: 1 };

/**
 * A whole federation in one thread. The problem: the bugs that matter need a crash, a cut and a slow disk at the same
 * moment, and a test with real processes never comes back to that moment. So everything that decides anything, time, the
 * network, disks and chance, is drawn from one seed, while the code under test is the code that ships: raft, host, log,
 * machine, zones and box, each behind the ports it has anyway. The watches sit on those ports.
 */
export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly hub: MemoryHub;
  readonly trace: Trace;
  readonly processes = new Map<string, Process>();
  /** Chance that a client's request or its answer is lost. */
  clientLoss = 0;
  failure: unknown;
  /** Numbers of the logs, by zone. */
  readonly logs = new Map<string, number>();
  readonly triggers = new Triggers();
  /** Of the host, beside those of every run. */
  hostSettings: Partial<HostSettings> = {};
  /** A quorum was given up: what clients were told before may be lost. */
  gaveUp = false;
  /** What logs apply is kept. */
  recording = false;
  readonly #facts = new Map<string, LogFacts>();

  constructor(seed: number, verbose: boolean) {
    this.random = seededRandom(seed);
    this.hub = new MemoryHub(this.clock, this.random);
    this.trace = new Trace(this.clock, verbose);
    // What is on its way when a box comes up takes time too.
    this.hub.faults = { ...this.hub.faults, silenceMs: 400 };
  }

  add(...names: string[]): void {
    for (const name of names) {
      const process = name.startsWith("w") ? new WitnessBox(this, name) : new DataBox(this, name);
      this.processes.set(name, process);
    }
  }

  get boxes(): DataBox[] {
    return [...this.processes.values()].filter((process) => process instanceof DataBox);
  }
  get witnesses(): WitnessBox[] {
    return [...this.processes.values()].filter((process) => process instanceof WitnessBox);
  }

  process(name: string): Process {
    return must(this.processes.get(name), `process ${name}`);
  }
  box(name: string): DataBox {
    const process = this.process(name);
    if (process instanceof DataBox) return process;
    throw new Error(`${name} is no data box`);
  }

  /** A process serves: it and the others learn each other's addresses, as they would from their settings. */
  met(process: Process): void {
    for (const other of this.processes.values()) {
      if (other === process || !other.up) continue;
      if (process instanceof DataBox) process.network?.setPeer(other.address);
      if (other instanceof DataBox) other.network?.setPeer(process.address);
    }
  }

  facts(log: number, generation: number): LogFacts {
    const key = `${log}/${generation}`;
    const known = this.#facts.get(key);
    if (known !== undefined) return known;
    const made = new LogFacts(
      { log, generation },
      () => this.clock.now(),
      (...parts) => this.trace.note(...parts),
    );
    if (this.recording) made.recorded = [];
    made.onMoment = (moment) => this.moment(moment, log);
    this.#facts.set(key, made);
    return made;
  }

  get allFacts(): LogFacts[] {
    return [...this.#facts.values()];
  }

  /** Something that faults may wait for happened in a log; only the main zone's counts. */
  moment(moment: Moment, log: number): void {
    if (log === this.logs.get("main")) this.triggers.happened(moment);
  }

  get lapsed(): boolean {
    return [...this.#facts.values()].some((facts) => facts.lapsed);
  }

  /** The first failure ends the run at its next step. */
  fail(error: unknown): void {
    this.failure ??= error;
  }

  async run(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) {
      await this.clock.run(Math.min(20, end - this.clock.now()));
      if (this.failure !== undefined) throw this.failure;
    }
  }

  async until(condition: () => boolean, ms: number, what: () => string): Promise<void> {
    for (const end = this.clock.now() + ms; !condition(); ) {
      if (this.clock.now() > end) throw new Violation(`within ${ms} ms it did not come true that ${what()}`);
      await this.run(5);
    }
  }

  /** Runs until the promise settles. */
  async settle<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    let ended: { value: T } | { error: unknown } | undefined;
    promise.then(
      (value) => (ended = { value }),
      (error: unknown) => (ended = { error }),
    );
    await this.until(
      () => ended !== undefined,
      ms,
      () => `${what} ended`,
    );
    const end = must(ended, "the end");
    if ("error" in end) throw end.error;
    return end.value;
  }

  /** Sends a client's request to a box; `heard` comes exactly once. */
  ask(name: string, request: Request, timeoutMs: number, heard: (heard: Heard) => void): void {
    let over = false;
    const once = (what: Heard) => {
      if (over) return;
      over = true;
      heard(what);
    };
    this.clock.after(timeoutMs, () => once({ response: undefined, answeredMs: this.clock.now() }));
    this.#carry(() => {
      this.box(name).handle(request, (response) => {
        const answeredMs = this.clock.now();
        if (response.receipt !== undefined) this.#checkCopies(response.receipt);
        checkRevision(response);
        this.#carry(() => once({ response, answeredMs }));
      });
    });
  }

  /** Copies are never overstated: every region named holds the revision durably. */
  #checkCopies(receipt: Receipt): void {
    const log = this.logOf(receipt.zone);
    if (log === undefined) return;
    const term = this.facts(log, receipt.generation).termOf(receipt.index);
    if (term === undefined) return;
    for (const region of receipt.regions) {
      const box = this.box(region.slice("region-".length));
      if (box.wiped > 0 || box.watch.damaged || !box.up) continue;
      const lacking = this.facts(log, receipt.generation)
        .chunksAt(receipt.index)
        .filter((one) => !box.holdsChunk(one));
      require(lacking.length === 0, () =>
        `a receipt of ${receipt.zone} at ${receipt.index} names ${box.name}, which lacks its chunks`);
      require(box.watch.keeps(log, receipt.generation, { index: receipt.index, term }), () => {
        const end = box.watch.durable(log, receipt.generation)?.lastIndex ?? 0;
        return `a receipt of ${receipt.zone} at ${receipt.index} names a copy on ${box.name}, which ends at ${end}`;
      });
    }
  }

  logOf(zone: string): number | undefined {
    for (const box of this.boxes) {
      const rule = box.node?.directory.map.rules.find((one) => one.zone === zone);
      if (rule !== undefined) return rule.log;
    }
    return undefined;
  }

  #carry(deliver: () => void): void {
    if (this.clientLoss > 0 && this.random.unit() < this.clientLoss) return;
    this.clock.after(clientDelayMs.least + this.random.unit() * clientDelayMs.more, deliver);
  }
}

/** Nothing is shown that is newer than its receipt says: with its token, a later read could be older. */
function checkRevision({ result, receipt }: Response): void {
  if (result?.$case !== "read" || receipt === undefined) return;
  const { revision, generation } = result.value.info ?? { revision: 0, generation: 0 };
  require(generation !== receipt.generation || revision <= receipt.index, () =>
    `a read of ${receipt.zone} shows revision ${revision}, its receipt says ${receipt.index}`);
}
