// One multiplexed stream to one box. Why not one RPC a call: a grpc-js unary costs ten times the message. Everything
// called in one turn of the event loop leaves as one frame, and answers come back in frames in any order.
import { type ChannelCredentials, type ChannelOptions, connectivityState, type Metadata } from "@grpc/grpc-js";
import { FilesClient, FilesService } from "@nexus-federation/proto/files.ts";
import { type Request, RequestFrame, type Response, ResponseFrame } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import { Silence } from "../base/silence.ts";
import { TurnoverMap } from "../base/turnover-map.ts";
import { grpcMessageBytesMax } from "../transport/ports.ts";
import { areYouThere } from "../transport/question.ts";
import { decodeMessage, encodeMessage } from "../transport/wire-codec.ts";
import { plainText } from "./problems.ts";
import type { SessionStream } from "./session-socket.ts";
import type { UploadSockets } from "./upload-sockets.ts";

/**
 * Exactly one of response and broken is given; ZONE_UNAVAILABLE may pass, other codes are the box's last word. `sent`
 * says whether the box may have seen the request.
 */
export type Done = (response: Response | undefined, broken: NexusError | undefined, sent: boolean) => void;

interface Pending {
  done: Done;
  sent: boolean;
}

export interface SessionNeeds {
  endpoint: string;
  /** Where the endpoint is reached from here. */
  address: string;
  credentials: ChannelCredentials;
  channelOptions: ChannelOptions;
  metadata: Metadata;
  clock: Clock;
  /** The stream without gRPC; undefined when the box has none. Rejects with what is wrong with the connection. */
  frames?: ((timeoutMs: number) => Promise<SessionStream | undefined>) | undefined;
  /** Connections for uploads without gRPC. */
  uploads?: UploadSockets | undefined;
}

const asTheyAre = (bytes: Buffer): Buffer => bytes;
const decodeFrame = (bytes: Buffer): ResponseFrame => decodeMessage(ResponseFrame, bytes);

/** Bytes of one frame to aim at; a single larger request travels alone. */
const frameBytesMax = 256 * 1024;

export class Session {
  readonly endpoint: string;
  readonly rpc: FilesClient;
  readonly metadata: Metadata;
  readonly uploads: UploadSockets | undefined;
  readonly #frames: SessionNeeds["frames"];
  /** Called once when the stream ended for whatever reason. */
  onClosed: (reason: NexusError) => void = () => {};
  #stream: SessionStream | undefined;
  #pending = new TurnoverMap<number, Pending>();
  #queue: Request[] = [];
  #queueBytes = 0;
  #scheduled = false;
  #nextId = 1;
  #closed = false;
  #broken: NexusError | undefined;
  readonly #clock: Clock;
  readonly #silence: Silence;

  constructor(needs: SessionNeeds) {
    this.endpoint = needs.endpoint;
    this.metadata = needs.metadata;
    this.#frames = needs.frames;
    this.uploads = needs.uploads;
    this.#clock = needs.clock;
    this.#silence = new Silence(needs.clock, {
      owes: () => this.#pending.size > 0 && !this.#closed,
      ask: (question) => void this.#stream?.write(encodeMessage(RequestFrame, areYouThere(question))),
      silent: () => this.#abandon(),
    });
    this.rpc = new FilesClient(needs.address, needs.credentials, needs.channelOptions);
  }

  get closed(): boolean {
    return this.#closed;
  }
  /** Why it ended, once it has: what went beside its stream ended with it. */
  get broken(): NexusError | undefined {
    return this.#broken;
  }
  /** The box owes answers and does not say a word; it may come back. */
  get silent(): boolean {
    return this.#silence.isSilent;
  }
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Connects, or rejects with what is wrong (refused certificate, nobody listens, no answer in time). */
  async open(timeoutMs: number): Promise<void> {
    try {
      const frames = await this.#frames?.(timeoutMs);
      if (frames !== undefined) return this.#begin(frames);
    } catch (why) {
      this.close("not connected");
      throw why;
    }
    return this.#openCall(timeoutMs);
  }

  #openCall(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    const channel = this.rpc.getChannel();
    return new Promise((resolve, reject) => {
      const look = (late?: Error): void => {
        const state = channel.getConnectivityState(true);
        if (late === undefined && state !== connectivityState.READY && state !== connectivityState.TRANSIENT_FAILURE) {
          return channel.watchConnectivityState(state, deadline, look);
        }
        if (state === connectivityState.READY) {
          const { path } = FilesService.session;
          this.#begin(this.rpc.makeBidiStreamRequest(path, asTheyAre, decodeFrame, this.metadata));
          return resolve();
        }
        this.#whyNot(late, deadline).then((why) => {
          this.close("not connected");
          reject(why);
        });
      };
      look();
    });
  }

  #begin(stream: SessionStream): void {
    stream.on("data", (frame: ResponseFrame) => this.#receive(frame));
    stream.on("error", (cause: Error) => this.close(plainText(messageOf(cause)), refusedWith(cause)));
    stream.on("end", () => this.close("the box ended the stream"));
    this.#stream = stream;
  }

  /** A channel that has failed keeps its reason for calls; this one asks for it. */
  #whyNot(late: Error | undefined, deadline: number): Promise<Error> {
    if (late !== undefined) return Promise.resolve(late);
    return new Promise((resolve) => {
      this.rpc.session(this.metadata, { deadline }).on("error", resolve);
    });
  }

  /** Sends with an id of this stream's own. Returns the id, for forget(). */
  call(request: Request, done: Done): number {
    const id = this.#nextId++;
    if (this.#closed || !this.#stream) {
      done(undefined, new NexusError("ZONE_UNAVAILABLE", "the stream is closed"), false);
      return id;
    }
    this.#pending.set(id, { done, sent: false });
    this.#queue.push({ ...request, id });
    this.#silence.sent();
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#clock.soon(() => this.#flush());
    }
    return id;
  }

  /** The caller no longer waits; a late answer is dropped. */
  forget(id: number): void {
    this.#pending.delete(id);
  }

  close(reason: string, code: "ZONE_UNAVAILABLE" | "UNAUTHENTICATED" | "DENIED" = "ZONE_UNAVAILABLE"): void {
    if (this.#closed) return;
    this.#closed = true;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#queue = [];
    this.#silence.end();
    this.#stream?.cancel();
    this.rpc.close();
    this.uploads?.close();
    const broken = new NexusError(code, reason);
    this.#broken = broken;
    for (const call of pending) call.done(undefined, broken, call.sent);
    this.onClosed(broken);
  }

  /** Calls go elsewhere; late answers are dropped. */
  #abandon(): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#queue = [];
    const broken = new NexusError("ZONE_UNAVAILABLE", `the box at ${this.endpoint} hangs`);
    for (const call of pending) call.done(undefined, broken, call.sent);
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    let requests: Request[] = [];
    this.#queueBytes = 0;
    for (const request of this.#queue) {
      const call = this.#pending.get(request.id);
      if (!call) continue;
      call.sent = true;
      this.#queueBytes += contentBytes(request);
      if (this.#queueBytes > frameBytesMax && requests.length > 0) {
        this.#write(requests);
        requests = [];
        this.#queueBytes = contentBytes(request);
      }
      requests.push(request);
    }
    this.#queue = [];
    if (requests.length > 0) this.#write(requests);
  }

  /** A request that cannot be sent ends its own call: as a failure of the stream it would end those of all others. */
  #write(requests: Request[]): void {
    const frame = frameOf(requests);
    if (!(frame instanceof NexusError)) {
      this.#stream?.write(frame);
      return;
    }
    if (requests.length > 1) {
      for (const request of requests) this.#write([request]);
      return;
    }
    const call = this.#pending.get(requests[0]!.id);
    this.#pending.delete(requests[0]!.id);
    call?.done(undefined, frame, false);
  }

  #receive(frame: ResponseFrame): void {
    this.#silence.heard();
    for (const response of frame.responses) {
      const call = this.#pending.get(response.id);
      if (!call) {
        this.#silence.answered(response.id);
        continue;
      }
      this.#pending.delete(response.id);
      call.done(response, undefined, true);
    }
  }
}

/** The bytes of one message, or why there are none: boxes take no larger message and no such number. */
function frameOf(requests: Request[]): Buffer | NexusError {
  try {
    const bytes = encodeMessage(RequestFrame, { requests });
    if (bytes.length <= grpcMessageBytesMax) return bytes;
    return new NexusError("TOO_LARGE", `a request has at most ${grpcMessageBytesMax} bytes; ${bytes.length} came`);
  } catch (cause) {
    return new NexusError("INVALID", `a field of the request cannot be sent: ${messageOf(cause)}`, { cause });
  }
}

/** A box that does not know us says so again to every stream. */
function refusedWith(cause: unknown) {
  const status = (cause as { code?: number }).code;
  return status === 16 ? "UNAUTHENTICATED" : status === 7 ? "DENIED" : "ZONE_UNAVAILABLE";
}

function contentBytes(request: Request): number {
  const op = request.op;
  if (op?.$case !== "mutate") return 64;
  const inner = op.value.op;
  if (inner?.$case === "write") return 128 + inner.value.content.length;
  if (inner?.$case !== "batch") return 128;
  let total = 64;
  for (const one of inner.value.operations)
    total += one.op?.$case === "write" ? 128 + one.op.value.content.length : 128;
  return total;
}
