// The same ports without sockets, for tests and the simulator: every delay, loss and cut is drawn from the injected clock
// and randomness, so a seed replays exactly.

import { assert } from "../base/assert.ts";
import type { Clock, Random } from "../base/clock.ts";
import type { MemoryNetwork } from "./memory.ts";
import type { Service } from "./ports.ts";

export interface MemoryFaults {
  /** One-way delay, uniform in [min, max]. */
  delayMinMs: number;
  delayMaxMs: number;
  /** Chance of a raft or witness message to vanish; forward streams are reliable until cut. */
  lossRate: number;
  /** Chance of a raft or witness message to arrive twice. */
  duplicateRate: number;
  /** Raft and witness messages may overtake each other when true; otherwise each stream keeps its order. */
  reorder: boolean;
  /** How long a cut stays silent until the streams through it report `down`. */
  silenceMs: number;
  /** Delay of a reconnect. */
  reconnectMs: number;
}

export const calmFaults: MemoryFaults = {
  delayMinMs: 0.1,
  delayMaxMs: 0.5,
  lossRate: 0,
  duplicateRate: 0,
  reorder: false,
  silenceMs: 5_000,
  reconnectMs: 20,
};

/** The wire between all endpoints. Cuts are one way: from → to. */
export class MemoryHub {
  faults: MemoryFaults;
  readonly clock: Clock;
  readonly random: Random;
  readonly #endpoints = new Map<string, MemoryNetwork>();
  readonly #cuts = new Set<string>();
  /** Added to the delay of one way, ms; by "from to". */
  readonly #slow = new Map<string, number>();

  constructor(clock: Clock, random: Random, faults: MemoryFaults = calmFaults) {
    this.clock = clock;
    this.random = random;
    this.faults = faults;
  }

  /** A process comes up under its endpoint ("host:port"); the former one there must be down. */
  enter(network: MemoryNetwork): void {
    assert(!this.#endpoints.has(network.endpoint), `one process at ${network.endpoint}`);
    this.#endpoints.set(network.endpoint, network);
  }

  at(endpoint: string): MemoryNetwork | undefined {
    return this.#endpoints.get(endpoint);
  }

  leave(endpoint: string): void {
    this.#endpoints.delete(endpoint);
  }

  /** Frames from one box to the other vanish until `heal`. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    for (const endpoint of this.#endpoints.values()) endpoint.cutSeen();
  }
  /** The box and the others hear nothing of each other. */
  part(box: string, others: readonly string[]): void {
    for (const other of others) {
      this.cut(box, other);
      this.cut(other, box);
    }
  }
  heal(from: string, to: string): void {
    this.#cuts.delete(`${from} ${to}`);
  }
  /** What goes from one box to the other takes so much longer; 0 ends it. */
  slow(from: string, to: string, byMs: number): void {
    if (byMs === 0) this.#slow.delete(`${from} ${to}`);
    else this.#slow.set(`${from} ${to}`, byMs);
  }
  slowedMs(from: string, to: string): number {
    return this.#slow.size === 0 ? 0 : (this.#slow.get(`${from} ${to}`) ?? 0);
  }
  healAll(): void {
    this.#cuts.clear();
    this.#slow.clear();
  }
  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from} ${to}`);
  }

  delayMs(): number {
    const { delayMinMs, delayMaxMs } = this.faults;
    return delayMinMs + (delayMaxMs - delayMinMs) * this.random.unit();
  }
}

/** One direction of a stream. */
export class Pipe {
  readonly #hub: MemoryHub;
  readonly #reliable: boolean;
  #lastAtMs = 0;
  bytes = 0;

  constructor(hub: MemoryHub, service: Service) {
    this.#hub = hub;
    this.#reliable = service === "forward";
  }

  /** Delivers after the drawn delay unless faults say otherwise; `deliver` checks that the stream still stands. */
  carry(way: { from: string; to: string }, size: number, deliver: () => void): void {
    const { faults, random } = this.#hub;
    if (this.#hub.isCut(way.from, way.to)) return;
    const lost = !this.#reliable && faults.lossRate > 0 && random.unit() < faults.lossRate;
    const twice = !this.#reliable && faults.duplicateRate > 0 && random.unit() < faults.duplicateRate;
    if (!lost) this.#once(way, size, deliver);
    if (twice) this.#once(way, size, deliver);
  }

  #once(way: { from: string; to: string }, size: number, deliver: () => void): void {
    const { clock, faults } = this.#hub;
    let atMs = clock.now() + this.#hub.delayMs() + this.#hub.slowedMs(way.from, way.to);
    if (this.#reliable || !faults.reorder) {
      atMs = Math.max(atMs, this.#lastAtMs);
      this.#lastAtMs = atMs;
    }
    this.bytes += size;
    clock.after(atMs - clock.now(), () => {
      this.bytes -= size;
      if (!this.#hub.isCut(way.from, way.to)) deliver();
    });
  }
}
