// One data node, seen from its doors. The problem: any box must serve any path, although each zone is served by some
// boxes only, leaders move, maps change under way and peers vanish. Why not proxy by the first rule found: the caller
// would have to know who leads, whether its retry is safe and what the answer was worth. The sketch: a request is
// admitted (admission.ts), given an id, bound to its zone (routing.ts) and flown (flight.ts) to the local engine or
// over one hop to the box that can serve it, again until its deadline; only this first box retries. The map comes from
// the system zone (directory.ts, sync.ts); rule changes are hand-overs driven from there (handover.ts).
import type {
  DownloadFrame,
  DownloadRequest,
  UploadHeader,
  WatchFrame,
  WatchRequest,
} from "@nexus-federation/proto/files.ts";
import type { ListPath, Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { must } from "../base/assert.ts";
import type { Clock, Random } from "../base/clock.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type { ChunkPins } from "../blobs/orphans.ts";
import { answer, refusal } from "../zones/answers.ts";
import type { ZoneEngine } from "../zones/engine.ts";
import type { LogStates } from "../zones/log-state.ts";
import { optionsRefusal, requestIdBytes } from "../zones/options.ts";
import { Admission, type Load } from "./admission.ts";
import type { AdminApi, BoxApi, BoxHealth, Caller, Upload } from "./api.ts";
import { type Ask, askWith, noOptions } from "./ask.ts";
import { contentBytes, withEtags } from "./content.ts";
import type { Directory } from "./directory.ts";
import { downloadFile } from "./downloads.ts";
import { Flight, type FlightNeeds } from "./flight.ts";
import { LeaderNews } from "./leader-news.ts";
import type { BoxLimits } from "./limits.ts";
import { Listings } from "./listing.ts";
import { waitsForLock } from "./operations.ts";
import type { ChunkStore, ChunkTransfer, Forward, Hashing } from "./ports.ts";
import { RoundTrips } from "./round-trips.ts";
import { LeaderHints } from "./targets.ts";
import { isUploader, UploadSession } from "./uploads.ts";
import { watchFeed } from "./watching.ts";

export interface BoxIdentity {
  box: string;
  federation: string;
  region: string;
}

export interface BoxNeeds {
  identity: BoxIdentity;
  engine: ZoneEngine;
  logs: LogStates;
  directory: Directory;
  forward: Forward;
  chunks: ChunkStore;
  transfer: ChunkTransfer;
  hashing: Hashing;
  /** Chunks that downloads of this box read. */
  pins: ChunkPins;
  clock: Clock;
  random: Random;
  limits: BoxLimits;
  /** Asks for a newer map, because one was heard of. */
  refreshMap(heardEpoch: number): void;
  /** Calls `done` once with the newest map that can be had now. */
  latestMap(done: () => void): void;
}

/** What the admin room needs of the box, and gives back to it. */
export interface AdminSide extends AdminApi {
  health(): BoxHealth;
  /** Executes a call that another box sent: it was routed to the leader it must run at, or is for this very box. */
  execute(method: string, body: Uint8Array): Promise<Uint8Array | Refusal>;
}

export class Box implements BoxApi {
  readonly box: string;
  readonly federation: string;
  readonly region: string;
  readonly ask: Ask;
  readonly #needs: BoxNeeds;
  readonly #admission: Admission;
  readonly #listings: Listings;
  readonly #flights: FlightNeeds;
  #admin: AdminSide | undefined;

  constructor(needs: BoxNeeds) {
    this.#needs = needs;
    ({ box: this.box, federation: this.federation, region: this.region } = needs.identity);
    this.#admission = new Admission(needs.limits, needs.clock);
    this.ask = askWith((request, caller, done) => this.handle(request, caller, done));
    this.#listings = new Listings({ ...needs, ask: this.ask });
    this.#flights = {
      ...needs,
      self: this.box,
      hints: new LeaderHints(),
      news: new LeaderNews(needs),
      roundTrips: new RoundTrips(needs.forward, needs.clock),
      admin: (call, done) => this.#execute(call, done),
    };
  }

  /** Set once by the composition: admin and box know each other. */
  useAdmin(admin: AdminSide): void {
    this.#admin = admin;
  }
  get admin(): AdminApi {
    return this.#adminSide();
  }
  health(): BoxHealth {
    return this.#adminSide().health();
  }
  /** What is under way here. */
  load(): Load {
    return this.#admission.load;
  }
  #adminSide(): AdminSide {
    return must(this.#admin, "the admin side, which the composition gives the box before it starts,");
  }

  handle(request: Request, caller: Caller, done: (response: Response) => void): void {
    const bytes = request.op?.$case === "mutate" ? contentBytes(request.op.value) : 0;
    const busy = this.#admission.enter(bytes) ?? this.#enterChange(request, bytes);
    const finish = (response: Response) => {
      this.#admission.leave(bytes);
      if (isChange(request)) this.#admission.leaveChange();
      response.id = request.id;
      if (response.servedBy === "") response.servedBy = this.box;
      done(response);
    };
    if (busy !== undefined) return done({ ...refusal(busy), id: request.id, servedBy: this.box });
    try {
      this.#dispatch(request, caller, finish);
    } catch (error) {
      finish(refusal(refuse("INTERNAL", messageOf(error))));
    }
  }

  #enterChange(request: Request, bytes: number): Refusal | undefined {
    if (!isChange(request)) return undefined;
    const late = this.#admission.enterChange(request.options?.timeoutMs || this.#needs.limits.timeoutMs);
    if (late !== undefined) this.#admission.leave(bytes);
    return late;
  }

  #dispatch(request: Request, caller: Caller, done: (response: Response) => void): void {
    const { op } = request;
    switch (op?.$case) {
      case undefined:
        return done(refusal(refuse("INVALID", "the request names no operation")));
      case "hello":
        return done(this.#hello(0));
      case "readMap":
        return done(this.#hello(op.value.knownRevision));
      case "hasChunks": {
        // Without addresses it is the question whether the box is there.
        if (caller.kind !== "box" && op.value.addresses.length > 0)
          return done(refusal(refuse("DENIED", "which content a box holds is told to boxes only")));
        const present = op.value.addresses.map((address) => this.#needs.chunks.has(address));
        return done(answer({ $case: "presence", value: { present } }));
      }
      case "admin":
        if (caller.kind !== "box") return done(refusal(refuse("DENIED", "admin calls travel between boxes only")));
        if (request.zone === "") return this.#execute(op.value, done);
        return this.#fly(request, caller, done);
      case "list":
        return this.#list(request, op.value, caller, done);
      case "mutate":
        return this.#mutate(request, caller, done);
      default:
        return this.#fly(request, caller, done);
    }
  }

  #fly(request: Request, caller: Caller, done: (response: Response) => void): void {
    const { clock, limits } = this.#needs;
    const given = request.options ?? noOptions;
    const timeoutMs = Math.min(given.timeoutMs || limits.timeoutMs, limits.timeoutMsMax);
    const unheard = caller.kind === "box" ? undefined : optionsRefusal(given);
    if (unheard !== undefined) return done(refusal(unheard));
    if (given.timeoutMs > timeoutMs && waitsForLock(request)) {
      const text = `a lock is waited for at most ${timeoutMs} ms in one request, ${given.timeoutMs} ms came; ask again when it ends`;
      return done(refusal(refuse("INVALID", text)));
    }
    const options: RequestOptions =
      caller.kind === "box" ? given : { ...given, hops: [], principal: caller.principal, epoch: 0 };
    new Flight(this.#flights, { request, options, caller, deadlineMs: clock.now() + timeoutMs, done }).start();
  }

  #mutate(request: Request, caller: Caller, done: (response: Response) => void): void {
    const { hashing, limits, random } = this.#needs;
    if (request.op?.$case !== "mutate") return done(refusal(refuse("INVALID", "the request changes nothing")));
    const operation = request.op.value;
    const options = request.options ?? noOptions;
    if (caller.kind === "box" && options.hops.length > 0) return this.#fly(request, caller, done);
    if (operation.op?.$case === "write" && operation.op.value.content.length > limits.inlineBytesMax) {
      return this.#writeLarge(request, caller, done);
    }
    const sealed = isUploader(caller) && isChunked(request) ? operation : withEtags(operation, hashing, limits);
    if (isRefusal(sealed)) return done(refusal(sealed));
    // Without an id of the caller's own, this box's retries must still apply once.
    const requestId = options.requestId.length > 0 ? options.requestId : (random.bytes(requestIdBytes) as Buffer);
    const known = { ...request, options: { ...options, requestId }, op: { $case: "mutate" as const, value: sealed } };
    this.#fly(known, caller, done);
  }

  #writeLarge(request: Request, caller: Caller, done: (response: Response) => void): void {
    if (request.op?.$case !== "mutate" || request.op.value.op?.$case !== "write") return;
    const write = request.op.value.op.value;
    const upload = this.upload({ options: request.options, write, zone: request.zone }, caller);
    const run = async () => {
      await upload.write(write.content);
      return upload.finish();
    };
    run().then(done, (error) => done(refusal(refuse("INTERNAL", messageOf(error)))));
  }

  #list(request: Request, list: ListPath, caller: Caller, done: (response: Response) => void): void {
    const below = caller.kind === "box" ? [] : this.#listings.below(list, request.zone);
    if (below.length === 0) return this.#fly(request, caller, done);
    const denied = caller.check("read", list.path);
    if (denied !== undefined) return done(refusal(denied));
    this.#fly(request, caller, (own) => {
      this.#listings.merge(list, below, own).then(done, (error) => done(refusal(refuse("INTERNAL", messageOf(error)))));
    });
  }

  /** The log times, map and boxes that are known here; without the map when the asker has it. */
  #hello(knownRevision: number): Response {
    const { directory, clock, identity } = this.#needs;
    const news = directory.revision > knownRevision;
    return answer({
      $case: "hello",
      value: {
        box: identity.box,
        federation: identity.federation,
        epoch: directory.epoch,
        logTimeMs: clock.wallMs(),
        region: identity.region,
        map: news ? directory.map : undefined,
        boxes: news ? directory.boxes : [],
        revision: directory.revision,
      },
    });
  }

  #execute(call: { method: string; body: Uint8Array }, done: (response: Response) => void): void {
    this.#adminSide()
      .execute(call.method, call.body)
      .then(
        (body) => done(isRefusal(body) ? refusal(body) : answer({ $case: "admin", value: { body: body as Buffer } })),
        (error) => done(refusal(refuse("INTERNAL", messageOf(error)))),
      );
  }

  upload(header: UploadHeader, caller: Caller): Upload {
    return new UploadSession(this.#transferNeeds(), header, caller);
  }
  download(request: DownloadRequest, caller: Caller, signal: AbortSignal): AsyncIterable<DownloadFrame> {
    return downloadFile(this.#transferNeeds(), request, caller, signal);
  }
  watch(request: WatchRequest, caller: Caller, signal: AbortSignal): AsyncIterable<WatchFrame> {
    return watchFeed(this.ask, request, { caller, signal });
  }

  #transferNeeds() {
    const { chunks, transfer, hashing, directory, limits, pins } = this.#needs;
    const own = { self: this.box, ask: this.ask, admission: this.#admission };
    return { ...own, chunks, transfer, hashing, directory, limits, pins };
  }
}

function isChunked(request: Request): boolean {
  const op = request.op?.$case === "mutate" ? request.op.value.op : undefined;
  return op?.$case === "write" && op.value.chunks.length > 0;
}

/** True for what waits for its turn only; a lock may rightly be waited for. */
function isChange({ op }: Request): boolean {
  return op?.$case === "mutate" && op.value.op?.$case !== "acquire";
}
