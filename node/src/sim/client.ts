import type { Operation } from "@nexus-federation/proto/command.ts";
import type { LockGrant, Receipt } from "@nexus-federation/proto/records.ts";
import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { decodeToken } from "../base/token.ts";
import { refusalIn } from "../box/ask.ts";
import type { Call, History, Outcome } from "./history.ts";
import { deleteOp, etagOf, mutation, readOf, writeOp } from "./requests.ts";
import { require } from "./violation.ts";
import type { Heard, World } from "./world.ts";

/** How a client behaves; drawn for the run. */
export interface Habits {
  /** Chance that a call of unknown fate is repeated with its request id. */
  retry: number;
  /** Chance that a mutation carries a request id of the client. */
  ids: number;
  /** Time until a call is given up, ms: least, and what is drawn on top. */
  timeoutMs: { least: number; more: number };
  /** Longest pause between calls, ms. */
  pauseMs: number;
  /** Share of calls that read, and of calls that read with staleness allowed. */
  reads: number;
  stale: number;
  /** Chance that a call goes to the client's own box. */
  home: number;
  /** Share of contents that travel as a chunk. */
  chunked: number;
  /** Share of answered requests of which a copy comes late, and how late at most, ms. */
  lateCopies: number;
  lateMs: number;
  /** Share of mutations that demand copies or a write concern. */
  concerned: number;
}

/** Attempts of one call. */
const attemptsMax = 6;
/** Content above this travels as a chunk. */
const chunkedBytes = 33 * 1024;
const executed: ReadonlySet<string> = new Set(["PRECONDITION_FAILED", "NOT_FOUND", "ALREADY_EXISTS", "FENCED"]);
const fateUnknown: ReadonlySet<string> = new Set(["UNKNOWN_OUTCOME", "INTERNAL"]);

/** What came of a mutation over all its attempts. */
interface Ended {
  outcome: Outcome;
  code: string;
  response: Response | undefined;
  answeredMs: number;
  /** Box that was asked last. */
  box: string;
}

/** One client that calls one after the other, until it is stopped. */
export class Client {
  readonly id: number;
  readonly world: World;
  readonly history: History;
  readonly habits: Habits;
  stopped = false;
  idle = false;
  readonly #paths: readonly string[];
  #values = 0;
  /** Etag last seen at a path. */
  readonly #seen = new Map<string, string>();
  /** Newest receipt by zone. */
  readonly #receipts = new Map<string, Receipt>();

  constructor(world: World, history: History, init: { id: number; habits: Habits; paths: readonly string[] }) {
    this.world = world;
    this.history = history;
    this.id = init.id;
    this.habits = init.habits;
    this.#paths = init.paths;
  }

  start(): void {
    void this.#loop().catch((error: unknown) => this.world.fail(error));
  }

  async #loop(): Promise<void> {
    while (!this.stopped) {
      await this.pause(this.world.random.unit() * this.habits.pauseMs);
      if (!this.stopped) await this.one();
    }
    this.idle = true;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.clock.after(ms, resolve));
  }

  below(limit: number): number {
    return Math.floor(this.world.random.unit() * limit);
  }

  someBox(): string {
    const names = this.world.boxes.map((box) => box.name);
    const home = this.world.random.unit() < this.habits.home;
    return names[home ? this.id % names.length : this.below(names.length)] as string;
  }

  protected async one(): Promise<void> {
    const path = this.#paths[this.below(this.#paths.length)] as string;
    const draw = this.world.random.unit();
    const { reads, stale } = this.habits;
    if (draw < reads) return void (await this.read(path, this.someBox(), {}));
    if (draw < reads + stale) return this.#staleRead(path);
    const change = this.world.random.unit();
    if (change < 0.5) await this.write(path);
    else if (change < 0.65) await this.#create(path);
    else if (change < 0.88) await this.#swap(path);
    else await this.#delete(path);
  }

  #begin(kind: Call["kind"], path: string, more: Partial<Call> = {}): Call {
    return {
      client: this.id,
      kind,
      path,
      value: "",
      expected: "",
      stale: false,
      local: false,
      invoked: this.history.next(),
      returned: 0,
      invokedMs: this.world.clock.now(),
      answeredMs: 0,
      outcome: "none",
      code: "",
      receipt: undefined,
      ...more,
    };
  }

  #end(call: Call, ended: Ended): void {
    call.returned = this.history.next();
    call.answeredMs = ended.answeredMs;
    call.outcome = ended.outcome;
    call.code = ended.code;
    call.local = ended.response?.servedBy === ended.box;
    call.receipt = ended.response?.receipt;
    const { receipt } = call;
    if (receipt !== undefined && receipt.zone !== "") this.#receipts.set(receipt.zone, receipt);
    this.history.calls.push(call);
    this.world.trace.note(
      "call",
      this.id,
      call.kind,
      call.path,
      ended.box,
      call.outcome,
      call.code,
      call.value,
      receipt?.index ?? 0,
    );
  }

  /** `options` may allow staleness: then the call is checked by its receipt alone. */
  async read(path: string, box: string, options: Partial<RequestOptions>): Promise<Call> {
    const call = this.#begin("read", path, { stale: options.readPreference === "local" });
    const heard = await this.ask(box, readOf(path, { timeoutMs: 2_000, ...options }));
    const { response, answeredMs } = heard;
    const code = response === undefined ? "" : (refusalIn(response)?.code ?? "");
    const found = response?.result?.$case === "read" ? response.result.value.info : undefined;
    if (found !== undefined) call.value = found.etag.toString("hex");
    const known = found !== undefined || code === "NOT_FOUND";
    if (known) this.#seen.set(path, call.value);
    if (response?.receipt?.mode === "eventual") call.stale = true;
    this.#end(call, { outcome: known ? "ok" : "none", code, response, answeredMs, box });
    return call;
  }

  async #staleRead(path: string): Promise<void> {
    const maxStalenessMs = [20, 100, 500, 3_000][this.below(4)] as number;
    const receipts = [...this.#receipts.values()];
    const own = receipts[this.below(receipts.length)];
    const after = this.below(2) === 0 && own !== undefined ? own.token : Buffer.alloc(0);
    const call = await this.read(path, this.someBox(), { maxStalenessMs, readPreference: "local", after });
    const { receipt } = call;
    if (call.outcome !== "ok" || receipt === undefined) return;
    const most = receipt.mode === "eventual" || maxStalenessMs;
    require(most === true || receipt.stalenessMs <= most, () =>
      `staleness ${receipt.stalenessMs}, ${most} was allowed`);
    if (after.length === 0 || own?.zone !== receipt.zone || own.generation !== receipt.generation) return;
    require(receipt.index >= own.index, () => `a read after ${own.index} of ${own.zone} stands at ${receipt.index}`);
  }

  #content(): Buffer {
    const text = `${this.id}.${++this.#values}`;
    return this.world.random.unit() < this.habits.chunked ? Buffer.alloc(chunkedBytes, `${text} `) : Buffer.from(text);
  }

  async write(path: string): Promise<Call> {
    const content = this.#content();
    const call = this.#begin("write", path, { value: etagOf(content) });
    return this.#mutate(call, writeOp(path, content));
  }

  async #create(path: string): Promise<void> {
    const content = this.#content();
    const call = this.#begin("create", path, { value: etagOf(content) });
    await this.#mutate(call, writeOp(path, content, { ifNoneMatch: true }));
  }

  async #swap(path: string): Promise<void> {
    const expected = this.#seen.get(path) ?? "";
    if (expected === "") return this.#create(path);
    const content = this.#content();
    const call = this.#begin("cas", path, { value: etagOf(content), expected });
    await this.#mutate(call, writeOp(path, content, { ifMatch: Buffer.from(expected, "hex") }));
  }

  async #delete(path: string): Promise<void> {
    await this.#mutate(this.#begin("delete", path), deleteOp(path));
  }

  async #mutate(call: Call, operation: Operation): Promise<Call> {
    const ended = await this.change(operation);
    if (ended.outcome === "ok") this.#seen.set(call.path, call.value);
    this.#end(call, ended);
    return call;
  }

  /** Tries until the answer is known or the client gives up. */
  async change(operation: Operation, timeoutMs?: number): Promise<Ended> {
    const { random } = this.world;
    const { habits } = this;
    const moves = movesZone(operation);
    const withId = timeoutMs !== undefined || random.unit() < habits.ids;
    const requestId = withId ? Buffer.from(random.bytes(16)) : Buffer.alloc(0);
    const newest = [...this.#receipts.values()].at(-1);
    const requestTimeMs = withId && random.unit() < 0.7 ? (newest?.logTimeMs ?? 0) : 0;
    const concern = random.unit() < habits.concerned ? this.#concern() : {};
    let unknown = false;
    for (let attempt = 1; ; attempt++) {
      const patience = timeoutMs ?? habits.timeoutMs.least + Math.floor(random.unit() * habits.timeoutMs.more);
      const box = this.someBox();
      const { response, answeredMs } = await this.ask(
        box,
        mutation(operation, { requestId, requestTimeMs, timeoutMs: patience, ...concern }),
      );
      const ended = { ...outcomeOf(response), response, answeredMs, box };
      if (ended.outcome === "ok" || ended.outcome === "failed") {
        const pin = pinOf(response);
        if (requestTimeMs > 0 && (!moves || pin !== undefined) && random.unit() < habits.lateCopies)
          this.#againLate(operation, { requestId, requestTimeMs, ...pin });
        return ended;
      }
      unknown ||= ended.outcome === "unknown";
      const again = withId && !moves && attempt < attemptsMax && !this.stopped && random.unit() < habits.retry;
      if (!again) return { ...ended, outcome: unknown ? "unknown" : "none" };
      await this.pause(random.unit() * 50);
    }
  }

  #concern(): Partial<RequestOptions> {
    const choices = [{ minCopies: 1 }, { minCopies: 2 }, { minCopies: 3 }, { writeConcern: "all" }];
    return choices[this.below(choices.length)] as Partial<RequestOptions>;
  }

  /** A copy of an answered request arrives late, as from a network that held it: it must change nothing. */
  #againLate(operation: Operation, options: Partial<RequestOptions>): void {
    const { clock, random } = this.world;
    clock.after(random.unit() * this.habits.lateMs, () => {
      void this.ask(this.someBox(), mutation(operation, { ...options, timeoutMs: 500 }));
    });
  }

  protected ask(box: string, request: Request): Promise<Heard> {
    const patienceMs = (request.options?.timeoutMs ?? 0) + 200;
    return new Promise((resolve) => {
      this.world.ask(box, request, patienceMs, resolve);
    });
  }
}

/** The log and generation that executed a request; a copy of it is refused by any other. */
function pinOf(response: Response | undefined): Partial<RequestOptions> | undefined {
  const token = decodeToken(response?.receipt?.token ?? Buffer.alloc(0));
  return token && { pinLog: token.log, pinGeneration: token.generation };
}

/** Paths that rule changes give to another zone: after an unknown outcome the simulated client has no pin to repeat with. */
function movesZone({ op }: Operation): boolean {
  return (op?.$case === "write" || op?.$case === "delete") && op.value.path.startsWith("/x/");
}

export function grantIn(response: Response | undefined): LockGrant | undefined {
  return response?.result?.$case === "grant" ? response.result.value : undefined;
}

function outcomeOf(response: Response | undefined): { outcome: Outcome; code: string } {
  if (response === undefined) return { outcome: "unknown", code: "" };
  const refused = refusalIn(response);
  if (refused === undefined) return { outcome: "ok", code: "" };
  const { code } = refused;
  if (refused.applied === true) return { outcome: "ok", code };
  if (executed.has(code)) return { outcome: "failed", code };
  return { outcome: fateUnknown.has(code) ? "unknown" : "none", code };
}
