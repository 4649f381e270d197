// Clients that go on whatever happens and write down what they see. Each kind of load is one loop (registers.ts, ...);
// paths change with every round of faults, so that each history stays short enough to be judged.
import type { Random } from "@nexus-federation/node/base/clock.ts";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import type { NexusClient } from "@nexus-federation/node/client/client.ts";
import {
  type Acknowledgement,
  type Gap,
  longestGap,
  outcomeOf,
  Refusals,
  recoveredAfter,
} from "../../harness/answers.ts";
import { History, type Outcome } from "../../harness/history.ts";
import { wrongByBoth } from "../../harness/porcupine.ts";
import { pause } from "../../harness/run.ts";

export interface LoadSettings {
  /** A client of its own for each loop. */
  client: () => NexusClient;
  random: Random;
  /** Folder of the tree that everything lies in. */
  path: string;
  /** Time between two calls of a loop. */
  pauseMs: number;
  /** Time of one call, retries included. */
  timeoutMs: number;
}

/** What a loop has to work with. */
export interface Desk {
  readonly client: NexusClient;
  /** Number of the loop among its kind. */
  readonly number: number;
  readonly load: Load;
}

/** One step of a client's life; called again and again. */
export type Step = (desk: Desk) => Promise<void>;

/** Codes that no fault excuses. */
const never = new Set<string>(["INTERNAL", "INVALID", "CORRUPT", "DENIED", "UNAUTHENTICATED", "WRONG_TYPE", "NO_ZONE"]);

/** Calls of unknown fate on the paths of one kind. */
const unknownMax = 6;
/** Paths of one kind and round that are given before others take their place. */
const askedMax = 200;

export class Load {
  readonly history = new History();
  readonly settings: LoadSettings;
  readonly refused = new Refusals();
  /** Calls that were answered. */
  answered = 0;
  /** Sentences of what no client may ever see. */
  readonly wrong: string[] = [];
  round = 0;
  /** Calls of unknown fate by kind and round. */
  readonly #unknown = new Map<string, number>();
  /** Paths given, by kind and round. */
  readonly #asked = new Map<string, number>();
  #running = true;
  readonly #loops: Promise<void>[] = [];
  readonly #acknowledged: Acknowledgement[] = [];

  constructor(settings: LoadSettings) {
    this.settings = settings;
  }

  /** `count` clients that live by `step`. */
  add(count: number, step: Step): this {
    for (let number = 0; number < count; number++) {
      const desk: Desk = { client: this.settings.client(), number, load: this };
      this.#loops.push(this.#live(desk, step));
    }
    return this;
  }

  get running(): boolean {
    return this.#running;
  }

  /**
   * A path of this round. A checker tries every order of the calls of unknown fate, at each place of what follows, so a path
   * is left for a new one when it has had its share of them, or of calls.
   */
  at(kind: string, name: string | number): string {
    const key = `${kind} ${this.round}`;
    const asked = this.#asked.get(key) ?? 0;
    this.#asked.set(key, asked + 1);
    const part = Math.floor((this.#unknown.get(key) ?? 0) / unknownMax) + Math.floor(asked / askedMax);
    return `${this.settings.path}/${kind}/${this.round}.${part}/${name}`;
  }

  /** A call on a path of `at` is of unknown fate. */
  #countUnknown(path: string): void {
    const [kind, round] = path.slice(this.settings.path.length + 1).split("/");
    const key = `${kind} ${round?.split(".")[0]}`;
    this.#unknown.set(key, (this.#unknown.get(key) ?? 0) + 1);
  }

  /** Writes down how the call on `path` ended, when it was refused. */
  refuse(id: number, path: string, how: { code: string; outcome: Outcome }): void {
    if (how.outcome === "unknown") this.#countUnknown(path);
    this.history.complete(id, how);
  }

  /** Writes down how a read was refused; true: there is nothing to read. */
  refuseRead(id: number, error: unknown): boolean {
    const absent = error instanceof NexusError && error.code === "NOT_FOUND";
    this.history.complete(id, absent ? { outcome: "ok" } : { outcome: "none", code: this.outcomeOf(error).code });
    return absent;
  }

  /** Ends the loops once their calls in flight are answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  /** Writes the history to `file`. Sentences of what is wrong with it and of what clients complained of. */
  judge(file: string): string[] {
    this.history.write(file);
    return [...this.wrong, ...wrongByBoth(this.history.lines).map((path) => `no order explains ${path}`)];
  }

  chance(part: number): boolean {
    return this.settings.random.unit() < part;
  }

  below(count: number): number {
    return Math.floor(this.settings.random.unit() * count);
  }

  /** A change was acknowledged. */
  acknowledge(invokedMs: number): void {
    this.answered++;
    this.#acknowledged.push({ invokedMs, atMs: performance.now() });
  }

  /** See answers.ts. */
  recoveredAfter(faultMs: number): number | undefined {
    return recoveredAfter(this.#acknowledged, faultMs);
  }

  longestGap(fromMs: number, toMs: number): Gap {
    return longestGap(this.#acknowledged, fromMs, toMs);
  }

  /** Forgets acknowledgements; the next fault is measured alone. */
  forgetAcknowledged(): void {
    this.#acknowledged.length = 0;
  }

  /** Code and outcome of a call that was refused. */
  outcomeOf(error: unknown): { code: string; outcome: Outcome } {
    const code = this.refused.count(error);
    if (never.has(code) || !(error instanceof NexusError)) this.#complain(`${code}: ${(error as Error).message}`);
    return { code, outcome: outcomeOf(code) };
  }

  #complain(sentence: string): void {
    if (this.wrong.length < 20) this.wrong.push(sentence);
  }

  async #live(desk: Desk, step: Step): Promise<void> {
    while (this.#running) {
      await step(desk).catch((error: unknown) => this.#complain(`a client ended: ${(error as Error).stack ?? error}`));
      await pause(this.settings.pauseMs * (0.5 + this.settings.random.unit()));
    }
  }
}
