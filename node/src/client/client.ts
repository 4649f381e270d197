// The TypeScript client: one call, and routing, forwarding, retries and leader changes are invisible; the receipt and
// typed errors say what happened. Why not thin wrappers over the RPCs: every caller would write the same retry loop,
// and most would write it without a request id. The sketch: client.ts turns methods into waist requests (proto
// request.proto), caller.ts retries one request inside its deadline, pool.ts knows which box serves which zone,
// session.ts is one stream.
import type { Operation } from "@nexus-federation/proto/command.ts";
import type { LockState, Receipt, RuleMap } from "@nexus-federation/proto/records.ts";
import type { HelloReply, Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { noBytes } from "../base/bytes.ts";
import { type Clock, delay, type Random } from "../base/clock.ts";
import { NexusError } from "../base/errors.ts";
import { parseFence, printFence } from "../base/fence.ts";
import { systemClock, systemRandom } from "../transport/system-clock.ts";
import { Caller, errorOf } from "./caller.ts";
import { checkRead, checkWrite, givenPin, text, time, whole } from "./checks.ts";
import { connector } from "./connect.ts";
import { type ContentOptions, type Download, download, upload, type WatchBatch, watch } from "./content.ts";
import { Lock, type LockHolder } from "./lock.ts";
import * as operations from "./operations.ts";
import { SessionPool } from "./pool.ts";
import type { Session } from "./session.ts";
import type * as t from "./types.ts";

const defaultTimeoutMs = 10_000;
/** Pause between two looks for a box that answers, ms. */
const sessionRetryMs = 100;
const defaultInFlightMax = 16_384;

export class NexusClient implements LockHolder {
  readonly settings: t.ClientSettings;
  readonly #pool: SessionPool;
  readonly #caller: Caller;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(settings: t.ClientSettings, needs: { clock?: Clock; random?: Random } = {}) {
    if (settings.endpoints.length === 0) throw new NexusError("INVALID", "endpoints: at least one host:port is needed");
    this.settings = settings;
    this.#clock = needs.clock ?? systemClock;
    this.#random = needs.random ?? systemRandom;
    this.#pool = new SessionPool({
      endpoints: settings.endpoints,
      connect: connector(settings),
      clock: this.#clock,
    });
    this.#caller = new Caller({
      pool: this.#pool,
      clock: this.#clock,
      random: this.#random,
      inFlightMax: settings.inFlightMax ?? defaultInFlightMax,
    });
  }

  /** Connects and learns the rule map, so that calls go to the serving box. Calls work without it, with one more hop. */
  async hello(options: t.CallOptions = {}): Promise<HelloReply> {
    const response = await this.#call({ $case: "hello", value: {} }, this.#readOptions(options), { options });
    const reply = expect(response, "hello");
    if (reply.map) this.#pool.learnMap(reply.map, reply.boxes);
    return reply;
  }

  async ruleMap(options: t.CallOptions = {}): Promise<RuleMap> {
    const { map } = await this.hello(options);
    if (!map) throw new NexusError("NO_ZONE", "the box knows no rule map yet");
    return map;
  }

  /** Writes a whole file of at most 32 KiB inline, a larger one in chunks. */
  async put(path: string, content: Uint8Array | string, options: t.PutOptions = {}): Promise<t.Written> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    if (bytes.length > operations.inlineBytesMax)
      return this.upload(path, oneChunk(bytes), { ...options, size: bytes.length });
    return this.#write(operations.write(path, bytes, options), path, options);
  }

  /** Content of a file; a large one is collected in memory (use download for streams). */
  async get(path: string, options: t.ReadOptions = {}): Promise<t.Content> {
    const response = await this.#call({ $case: "read", value: { path, infoOnly: false } }, this.#readOptions(options), {
      path,
      options,
    });
    const read = expect(response, "read");
    const info = read.info!;
    if (info.chunks.length === 0) return { receipt: response.receipt!, info, content: read.content };
    const whole = await this.download(path, options);
    const parts: Uint8Array[] = [];
    for await (const part of whole.data) parts.push(part);
    return { receipt: whole.receipt, info: whole.info, content: Buffer.concat(parts) };
  }

  async stat(path: string, options: t.ReadOptions = {}): Promise<t.Stat> {
    const response = await this.#call({ $case: "stat", value: { path } }, this.#readOptions(options), {
      path,
      options,
    });
    return { receipt: response.receipt!, info: expect(response, "info") };
  }

  async list(path: string, options: t.ListOptions = {}): Promise<t.ListPage> {
    const value = {
      path,
      prefix: options.prefix ?? "",
      delimiter: "",
      limit: whole("limit", options.limit ?? 1000, 1),
      page: options.page ?? "",
      recursive: options.recursive ?? false,
    };
    const response = await this.#call({ $case: "list", value }, this.#readOptions(options), { path, options });
    const listing = expect(response, "listing");
    return { receipt: response.receipt!, entries: listing.entries, nextPage: listing.nextPage };
  }

  /** Every entry below `path`, page after page. */
  async *entries(path: string, options: t.ListOptions = {}) {
    let page = options.page;
    do {
      const listing = await this.list(path, { ...options, page });
      yield* listing.entries;
      page = listing.nextPage;
    } while (page);
  }

  delete(path: string, options: t.WriteOptions & { recursive?: boolean } = {}): Promise<t.Written> {
    return this.#write(operations.remove(path, options), path, options);
  }
  mkdir(path: string, options: t.WriteOptions & { parents?: boolean } = {}): Promise<t.Written> {
    return this.#write(operations.mkdir(path, options), path, options);
  }
  move(from: string, to: string, options: t.WriteOptions & { replace?: boolean } = {}): Promise<t.Written> {
    return this.#write(operations.rename({ from, to }, options), from, options);
  }
  copy(from: string, to: string, options: t.WriteOptions & { replace?: boolean } = {}): Promise<t.Written> {
    return this.#write(operations.copy({ from, to }, options), from, options);
  }
  setMetadata(path: string, change: operations.MetadataChange, options: t.WriteOptions = {}): Promise<t.Written> {
    return this.#write(operations.setMetadata(path, change, options), path, options);
  }

  /** All operations or none, in one zone. Build them with the functions of operations.ts. */
  async batch(list: Operation[], options: t.WriteOptions = {}): Promise<{ receipt: Receipt; results: t.Written[] }> {
    if (list.length === 0) throw new NexusError("INVALID", "operations: a batch has at least one");
    const operation: Operation = { op: { $case: "batch", value: { operations: list } } };
    const path = operations.pathOf(list[0]!);
    const response = await this.#call({ $case: "mutate", value: operation }, this.#writeOptions(options), {
      path,
      options,
      mutating: true,
    });
    const receipt = response.receipt!;
    return { receipt, results: expect(response, "batch").results.map((result) => ({ receipt, info: result.info })) };
  }

  /** Acquires a lock once. `lock` wraps it with renewal. */
  async acquire(path: string, options: t.LockOptions = {}): Promise<t.Granted> {
    const timeoutMs = (options.waitMs ?? 0) + (options.timeoutMs ?? this.settings.timeoutMs ?? defaultTimeoutMs);
    const value = {
      path,
      kind: options.kind ?? "mutex",
      slots: options.kind === "semaphore" ? whole("slots", options.slots ?? 1, 1) : 1,
      ttlMs: whole("ttlMs", options.ttlMs ?? 30_000, 1),
      wait: whole("waitMs", options.waitMs ?? 0) > 0,
      owner: options.owner ?? "",
    };
    const operation: Operation = { op: { $case: "acquire", value } };
    const callOptions = { ...this.#writeOptions(options), timeoutMs: value.wait ? options.waitMs! : timeoutMs };
    const response = await this.#call({ $case: "mutate", value: operation }, callOptions, {
      path,
      options,
      mutating: true,
    });
    const grant = expect(response, "grant");
    return { receipt: response.receipt!, grant, fence: printFence(grant.generation, grant.counter) };
  }

  async extend(path: string, lockId: Uint8Array, options: t.CallOptions & { ttlMs?: number } = {}): Promise<t.Granted> {
    const operation: Operation = {
      op: {
        $case: "extend",
        value: { path, lockId: Buffer.from(lockId), ttlMs: whole("ttlMs", options.ttlMs ?? 30_000, 1) },
      },
    };
    const response = await this.#call({ $case: "mutate", value: operation }, this.#writeOptions(options), {
      path,
      options,
      mutating: true,
    });
    const grant = expect(response, "grant");
    return { receipt: response.receipt!, grant, fence: printFence(grant.generation, grant.counter) };
  }

  async release(path: string, lockId: Uint8Array, options: t.CallOptions = {}): Promise<Receipt> {
    const operation: Operation = { op: { $case: "release", value: { path, lockId: Buffer.from(lockId) } } };
    const response = await this.#call({ $case: "mutate", value: operation }, this.#writeOptions(options), {
      path,
      options,
      mutating: true,
    });
    return response.receipt!;
  }

  /** A held lock that is extended in the background until released or lost (its `signal` then aborts). */
  async lock(path: string, options: t.LockOptions = {}): Promise<Lock> {
    const granted = await this.acquire(path, options);
    return new Lock(this, { path, granted, ttlMs: options.ttlMs ?? 30_000, clock: this.#clock });
  }

  async lockState(path: string, options: t.ReadOptions = {}): Promise<LockState> {
    const response = await this.#call({ $case: "inspectLock", value: { path } }, this.#readOptions(options), {
      path,
      options,
    });
    return expect(response, "lock");
  }

  /** Streams content of any size up; memory stays bounded. */
  async upload(
    path: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: t.PutOptions & ContentOptions = {},
  ): Promise<t.Written> {
    whole("size", options.size, 0, Number.MAX_SAFE_INTEGER);
    const asked = this.#writeOptions(options);
    asked.requestTimeMs = this.#pool.requestTime(path, options.zone);
    const pin = givenPin(asked) ?? this.#pool.pinOf(path, options.zone ?? "");
    return upload(
      { session: () => this.#sessionFor(path, options), options: { ...asked, ...pin } },
      { path, source, put: options },
    );
  }
  /** Streams content down, from `offset` for `length` bytes. */
  async download(path: string, options: t.ReadOptions & ContentOptions = {}): Promise<Download> {
    whole("offset", options.offset, 0, Number.MAX_SAFE_INTEGER);
    whole("length", options.length, 0, Number.MAX_SAFE_INTEGER);
    return download(
      { session: () => this.#sessionFor(path, options), options: this.#readOptions(options) },
      { path, read: options },
    );
  }
  /** Changes of the zone at and below `path`, from `after` (a token of an earlier batch) or from now; resumes by itself. */
  watch(path: string, options: Omit<t.CallOptions, "after"> & { after?: string } = {}): AsyncIterable<WatchBatch> {
    return watch(
      { session: () => this.#sessionFor(path, { zone: options.zone, signal: options.signal }), clock: this.#clock },
      { path, zone: options.zone ?? "", after: options.after ?? "", signal: options.signal },
    );
  }

  /** One waist request as it is, with retries: for tools that need what the methods above do not show. */
  call(op: Request["op"], path: string | undefined, options: t.ReadOptions & t.WriteOptions = {}): Promise<Response> {
    const mutating = op?.$case === "mutate";
    const asked = mutating ? this.#writeOptions(options) : this.#readOptions(options);
    return this.#call(op, asked, { path, options, mutating });
  }

  close(): void {
    this.#pool.close();
  }

  async #write(operation: Operation, path: string, options: t.WriteOptions): Promise<t.Written> {
    const response = await this.#call({ $case: "mutate", value: operation }, this.#writeOptions(options), {
      path,
      options,
      mutating: true,
    });
    return { receipt: response.receipt!, info: expect(response, "operation").info };
  }

  async #call(op: Request["op"], options: RequestOptions, more: CallContext): Promise<Response> {
    text("path", more.path ?? "");
    const response = await this.#caller.call({
      op,
      options,
      zone: more.options.zone ?? "",
      path: more.path,
      mutating: more.mutating ?? false,
      signal: more.options.signal,
    });
    const epoch = response.receipt?.epoch ?? 0;
    if (op?.$case !== "hello" && this.#pool.isBehind(epoch)) this.hello().catch(() => {});
    return response;
  }

  /** For streams: waits for a box inside the time of a call. */
  async #sessionFor(path: string, options: t.CallOptions): Promise<Session> {
    text("path", path);
    const endMs = this.#clock.now() + (options.timeoutMs ?? this.settings.timeoutMs ?? defaultTimeoutMs);
    for (;;) {
      const open = this.#pool.sessionFor(path, options.zone);
      if (open) return open;
      try {
        return await this.#pool.seed();
      } catch (error) {
        const final = !(error instanceof NexusError) || !error.retryable;
        if (final || options.signal?.aborted || this.#clock.now() >= endMs) throw error;
      }
      await delay(this.#clock, sessionRetryMs, options.signal);
    }
  }

  #readOptions(options: t.ReadOptions): RequestOptions {
    checkRead(options);
    return {
      timeoutMs: time("timeoutMs", options.timeoutMs ?? this.settings.timeoutMs ?? defaultTimeoutMs),
      maxStalenessMs: options.maxStalenessMs,
      minCopies: options.minCopies ?? 0,
      after: (options.after ?? noBytes) as Buffer,
      readPreference: options.readPreference ?? "",
      writeConcern: "",
      requestId: noBytes as Buffer,
      requestTimeMs: 0,
      epoch: 0,
      hops: [],
      principal: "",
    };
  }

  #writeOptions(options: t.WriteOptions): RequestOptions {
    if (options.fence !== undefined && !parseFence(options.fence))
      throw new NexusError("INVALID", `fence: "${options.fence}" is not a printed fence`);
    return {
      ...this.#readOptions(options),
      ...checkWrite(options),
      writeConcern: options.writeConcern ?? "",
      requestId: (options.requestId ?? this.#random.bytes(16)) as Buffer,
    };
  }
}

interface CallContext {
  path?: string | undefined;
  options: t.CallOptions;
  mutating?: boolean;
}

type Results = NonNullable<Response["result"]>;

/** The result of the kind that the operation answers with; anything else is a bug of the box. */
function expect<Kind extends Results["$case"]>(response: Response, kind: Kind): ValueOf<Kind> {
  if (response.result?.$case !== kind) throw errorOf(response);
  return response.result.value as ValueOf<Kind>;
}
type ValueOf<Kind> = Extract<Results, { $case: Kind }>["value"];

function* oneChunk(bytes: Uint8Array): Iterable<Uint8Array> {
  yield bytes;
}
