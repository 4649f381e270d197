// Sessions to boxes and the knowledge which box serves which zone. One seed session is enough: any box forwards; going
// to the serving box directly saves the hop.
import type { BoxRecord, RuleMap } from "@nexus-federation/proto/records.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import { compileRules, type RuleTrie, rulesProblem } from "../tree/rules.ts";
import type { Session } from "./session.ts";

export interface PoolNeeds {
  /** "host:port" of boxes, tried in turn. */
  endpoints: string[];
  connect(endpoint: string): Promise<Session>;
  clock: Pick<Clock, "now" | "after">;
}

/** After a failed connection an endpoint is left alone for so long. */
const restMs = 500;
/** One that does not answer for so long does not keep the next from being tried beside it, ms. */
const staggerMs = 250;
/** A learned log time is used for request times up to this age. */
const logTimeAgeMaxMs = 60_000;

/** The log that remembers a request, and its generation. */
export interface Pin {
  pinLog: number;
  pinGeneration: number;
}

interface Learned {
  logTimeMs: number;
  atMs: number;
}

export class SessionPool {
  readonly #needs: PoolNeeds;
  readonly #sessions = new Map<string, Session>();
  readonly #connecting = new Map<string, Promise<Session>>();
  /** Endpoints left alone for a while, and why. */
  readonly #resting = new Map<string, { untilMs: number; why: NexusError }>();
  readonly #endpointOfBox = new Map<string, string>();
  readonly #servingBox = new Map<string, string>();
  readonly #logTime = new Map<string, Learned>();
  /** By zone name. */
  #pins = new Map<string, Pin>();
  #trie: RuleTrie | undefined;
  #epoch = 0;
  #turn = 0;
  #closed = false;

  constructor(needs: PoolNeeds) {
    this.#needs = needs;
  }

  /** The open session that fits the path best, or undefined when one must be connected first (see `seed`). */
  sessionFor(path: string | undefined, zone: string | undefined): Session | undefined {
    const name = zone || (path === undefined ? undefined : this.zoneOf(path));
    const box = name === undefined ? undefined : this.#servingBox.get(name);
    const endpoint = box === undefined ? undefined : this.#endpointOfBox.get(box);
    if (endpoint !== undefined) {
      const session = this.#sessions.get(endpoint);
      if (session && !session.silent) return session;
      if (!session && !this.#whyResting(endpoint) && !this.#connecting.has(endpoint))
        this.#open(endpoint).catch(() => {});
    }
    for (const session of this.#sessions.values()) if (!session.silent) return session;
    return undefined;
  }

  /**
   * Connects to the first endpoint that answers; a session that hangs is better than none. Rejects with ZONE_UNAVAILABLE
   * naming every failure, with INVALID when all are strangers.
   */
  async seed(): Promise<Session> {
    const all = [...new Set([...this.#needs.endpoints, ...this.#endpointOfBox.values()])];
    this.#turn++;
    const search = new Search(this.#needs.clock);
    let hanging: Session | undefined;
    for (let i = 0; i < all.length; i++) {
      const endpoint = all[(this.#turn + i) % all.length]!;
      const open = this.#sessions.get(endpoint);
      if (open?.silent) {
        hanging = open;
        continue;
      }
      if (open) return open;
      const why = this.#whyResting(endpoint);
      const found = await search.one(endpoint, why === undefined ? this.#open(endpoint) : Promise.reject(why));
      if (found) return found;
    }
    const found = await search.rest();
    if (found) return found;
    if (hanging) return hanging;
    if (search.strangers === all.length) {
      const more = all.length > 1 ? `; and ${all.length - 1} more` : "";
      throw new NexusError("INVALID", `${search.failures[0]}${more}`);
    }
    throw new NexusError("ZONE_UNAVAILABLE", `no box answers (${search.failures.join("; ")})`);
  }

  /** The log that a change of this path, or in this zone, goes to by the map that is known here. */
  pinOf(path: string | undefined, zone: string): Pin | undefined {
    if (zone !== "") return this.#pins.get(zone);
    const rule = path === undefined ? undefined : this.#trie?.match(path)?.rule;
    return rule && { pinLog: rule.log, pinGeneration: rule.generation };
  }

  zoneOf(path: string): string | undefined {
    return this.#trie?.match(path)?.rule.zone; // undefined also for paths that are no paths: the box says why
  }

  /** The map is older than `epoch`. */
  isBehind(epoch: number): boolean {
    return epoch > this.#epoch;
  }

  learnMap(map: RuleMap, boxes: BoxRecord[]): void {
    if (map.epoch >= this.#epoch) {
      this.#epoch = map.epoch;
      this.#pins = new Map(map.rules.map((rule) => [rule.zone, { pinLog: rule.log, pinGeneration: rule.generation }]));
      // Zones without a pattern, the system zone among them, are reached by name alone.
      const bound = map.rules.filter((rule) => rule.pattern !== "");
      if (!rulesProblem(bound)) this.#trie = compileRules(bound);
    }
    for (const box of boxes) if (box.clientEndpoint) this.#endpointOfBox.set(box.name, box.clientEndpoint);
  }

  learnAnswer(response: Response): void {
    const receipt = response.receipt;
    if (!receipt?.zone) return;
    if (response.servedBy) this.#servingBox.set(receipt.zone, response.servedBy);
    if (receipt.logTimeMs > 0) {
      const known = this.#logTime.get(receipt.zone);
      if (!known || receipt.logTimeMs >= known.logTimeMs) {
        this.#logTime.set(receipt.zone, { logTimeMs: receipt.logTimeMs, atMs: this.#needs.clock.now() });
      }
    }
  }

  learnLeader(path: string | undefined, zone: string | undefined, box: string): void {
    const name = zone || (path === undefined ? undefined : this.zoneOf(path));
    if (name === undefined) return;
    if (box) this.#servingBox.set(name, box);
    else this.#servingBox.delete(name);
  }

  /** Log time to stamp a first attempt with; 0 lets the door stamp it. Never ahead of the log, so that EXPIRED is sound. */
  requestTime(path: string | undefined, zone: string | undefined): number {
    const name = zone || (path === undefined ? undefined : this.zoneOf(path));
    const learned = name === undefined ? undefined : this.#logTime.get(name);
    if (!learned || this.#needs.clock.now() - learned.atMs > logTimeAgeMaxMs) return 0;
    return learned.logTimeMs;
  }

  close(): void {
    this.#closed = true;
    for (const session of [...this.#sessions.values()]) session.close("the client is closed");
  }

  #whyResting(endpoint: string): NexusError | undefined {
    const rest = this.#resting.get(endpoint);
    return rest !== undefined && rest.untilMs > this.#needs.clock.now() ? rest.why : undefined;
  }

  #rest(endpoint: string, why: NexusError): void {
    this.#resting.set(endpoint, { untilMs: this.#needs.clock.now() + restMs, why });
  }

  #open(endpoint: string): Promise<Session> {
    const already = this.#connecting.get(endpoint);
    if (already) return already;
    const opening = this.#needs
      .connect(endpoint)
      .then((session) => {
        if (this.#closed) {
          session.close("the client is closed");
          throw new NexusError("ZONE_UNAVAILABLE", "the client is closed");
        }
        this.#sessions.set(endpoint, session);
        session.onClosed = (why) => {
          if (this.#sessions.get(endpoint) === session) this.#sessions.delete(endpoint);
          this.#rest(endpoint, why);
        };
        return session;
      })
      .catch((error) => {
        this.#rest(
          endpoint,
          error instanceof NexusError ? error : new NexusError("ZONE_UNAVAILABLE", messageOf(error)),
        );
        throw error;
      })
      .finally(() => this.#connecting.delete(endpoint));
    this.#connecting.set(endpoint, opening);
    return opening;
  }
}

/** Connections that are tried one after the other, and beside each other when one takes long. */
class Search {
  readonly failures: string[] = [];
  strangers = 0;
  readonly #clock: Pick<Clock, "after">;
  readonly #tries: Promise<Session | undefined>[] = [];
  readonly #found = Promise.withResolvers<Session>();

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
    this.#found.promise.catch(() => {});
  }

  /** The first session of all tried so far; undefined when this one failed, or its time is over. UNAUTHENTICATED is thrown. */
  async one(endpoint: string, opening: Promise<Session>): Promise<Session | undefined> {
    const trying = opening.then(
      (session) => {
        this.#found.resolve(session);
        return session;
      },
      (error: unknown) => this.#failed(endpoint, error),
    );
    this.#tries.push(trying);
    const late = Promise.withResolvers<undefined>();
    const timer = this.#clock.after(staggerMs, () => late.resolve(undefined));
    try {
      return await Promise.race([this.#found.promise, trying, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  /** Waits for those still under way. */
  rest(): Promise<Session | undefined> {
    return Promise.race([this.#found.promise, Promise.all(this.#tries).then(() => undefined)]);
  }

  #failed(endpoint: string, error: unknown): undefined {
    if (error instanceof NexusError && error.code === "UNAUTHENTICATED") this.#found.reject(error);
    if (error instanceof NexusError && error.code === "INVALID") this.strangers++;
    this.failures.push(`${endpoint}: ${messageOf(error)}`);
    return undefined;
  }
}
