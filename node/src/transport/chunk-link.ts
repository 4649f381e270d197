import type { Clock, Timer } from "../base/clock.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { type BoxTarget, socketToBox } from "./channel.ts";
import { chunksProtocol, putHead, readDone } from "./chunk-frames.ts";
import { FrameSocket, firstFrameBytesMax } from "./frame-socket.ts";
import { handshakeFrame, readHandshake } from "./frames.ts";
import { checkAnswer, handshakeOf } from "./handshake.ts";
import { type ChunkName, chunkBytesMax, type PeerAddress, type SelfAddress } from "./ports.ts";
import { refusalOf } from "./refusals.ts";

export interface ChunkLinkNeeds {
  clock: Clock;
  self: SelfAddress;
  /** A peer that owes an answer for so long is given up, and with it all that it owes, ms. */
  idleMs: number;
}

/** Time from connecting to the peer's handshake, ms. */
const handshakeMs = 5_000;
/** A peer that cannot be reached is left alone for as many times as long as it took to find out, at least for this, ms. */
const restTimes = 4;
const restMsMin = 500;

/** Chunks that are put to one peer: one connection's life. Its owner bounds how many are under way. */
export class ChunkLink {
  /** True once chunks can be put; false when the peer speaks gRPC alone, or cannot be reached (then it has `ended`). */
  readonly ready: Promise<boolean>;
  readonly #needs: ChunkLinkNeeds;
  readonly #frames: FrameSocket;
  readonly #pending = new Map<number, (refusal: Refusal | undefined) => void>();
  readonly #late: Timer;
  #nextId = 1;
  #isFinishing = false;
  #restUntilMs = 0;
  #why: Refusal | undefined;
  #settleReady: (isReady: boolean) => void = () => {};

  /** Throws INVALID when the own credentials do not fit. */
  constructor(needs: ChunkLinkNeeds, target: BoxTarget, peer: PeerAddress) {
    this.#needs = needs;
    const socket = socketToBox(target, [chunksProtocol, "h2"]);
    this.ready = new Promise((resolve) => {
      this.#settleReady = resolve;
    });
    const beganMs = needs.clock.now();
    let isKnown = false;
    this.#frames = new FrameSocket(
      socket,
      { clock: needs.clock, role: "caller", bytesMax: firstFrameBytesMax },
      {
        frame: (frame) => {
          if (isKnown) return this.#receive(frame);
          const wrong = checkAnswer(needs.self, peer, readHandshake(frame));
          if (wrong !== undefined) return this.#end(wrong);
          isKnown = true;
          this.#late.cancel();
          this.#settleReady(true);
        },
        over: (reason) => (isKnown ? this.#end(refusalOf(new Error(reason))) : missed(reason)),
      },
    );
    const missed = (reason: string) => {
      const nowMs = needs.clock.now();
      this.#restUntilMs = nowMs + Math.max(restMsMin, (nowMs - beganMs) * restTimes);
      this.#end(refusalOf(new Error(reason)));
    };
    this.#late = needs.clock.after(handshakeMs, () => missed("no handshake in time"));
    socket.once("secureConnect", () => {
      if (socket.alpnProtocol === chunksProtocol) this.#frames.write(handshakeFrame(handshakeOf(needs.self, peer)));
      else this.#close();
    });
  }

  /** Why there is nothing more to be put here. */
  get ended(): Refusal | undefined {
    return this.#why;
  }

  /** It could not be reached a moment ago. */
  get isResting(): boolean {
    return this.#why !== undefined && this.#needs.clock.now() < this.#restUntilMs;
  }

  /** Undefined: the peer has it durable. Only once ready. */
  put(chunk: ChunkName, data: Uint8Array): Promise<Refusal | undefined> {
    if (data.length > chunkBytesMax) return Promise.resolve(refuse("TOO_LARGE", "a chunk is at most 1 MiB"));
    if (this.#why !== undefined) return Promise.resolve(this.#why);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const late = this.#needs.clock.after(this.#needs.idleMs, () =>
        this.#end(refuse("ZONE_UNAVAILABLE", "the peer does not answer to a chunk")),
      );
      this.#pending.set(id, (refusal) => {
        late.cancel();
        resolve(refusal);
      });
      this.#frames.write(putHead(id, chunk, data.length));
      this.#frames.write(Buffer.from(data.buffer, data.byteOffset, data.length));
    });
  }

  /** Closes when what is under way has been answered: another connection takes its place. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#pending.size === 0) this.close();
  }

  /** What is under way ends with a refusal. */
  close(): void {
    this.#end(refuse("ZONE_UNAVAILABLE", "the connection for content was closed here"));
  }

  #receive(frame: Buffer): void {
    const done = readDone(frame);
    const settle = done && this.#pending.get(done.id);
    if (done === undefined || settle === undefined) return this.#end(refuse("INVALID", "a frame that answers nothing"));
    this.#pending.delete(done.id);
    settle(done.failure && refusalOfFailure(done.failure));
    if (this.#isFinishing && this.#pending.size === 0) this.close();
  }

  #end(why: Refusal): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#close();
    for (const settle of this.#pending.values()) settle(why);
    this.#pending.clear();
  }

  #close(): void {
    this.#late.cancel();
    this.#frames.destroy();
    this.#settleReady(false);
  }
}
