// A stream of frames over a TLS connection of its own. Why not gRPC: its layers cost twice the CPU and twice the time of
// a small message, and a put waits for four of those. The service is agreed on in the TLS handshake (ALPN), frames tell
// their own length, and two more fields than those of frames.ts are known here: a sign of life and the last word.

import type { TLSSocket } from "node:tls";
import type { Clock, Timer } from "../base/clock.ts";
import { messageOf, type Refusal, refuse } from "../base/errors.ts";
import { FrameReader } from "./frame-reader.ts";
import { batchFrame, readField } from "./frames.ts";
import { grpcMessageBytesMax, type Service } from "./ports.ts";
import type { PeerStream, StreamEvents } from "./streams.ts";

/** Asks, and answers, whether anybody is there; has no body. */
const lifeField = 14;
/** Text of the refusal that ends the stream. */
const refusalField = 15;
const life = batchFrame(lifeField, [], 0);

/** How a dead peer is found out, ms. */
interface Pulse {
  /** Time between two looks; a caller asks when nothing was heard for half of it, a server answers. */
  lookMs: number;
  /** Quiet for so long, the stream is closed. */
  silentMs: number;
}
export type Role = "caller" | "server";
const pulses: Record<Role, Pulse> = {
  caller: { lookMs: 2_000, silentMs: 5_000 },
  server: { lookMs: 10_000, silentMs: 40_000 },
};

/** Whoever connects tells who it is in its first frame: its size, a token being no longer than gRPC takes, and its time, ms. */
export const firstFrameBytesMax = 16 * 1024;
const firstFrameMs = 5_000;

/** A stream that is not read says so, so that the caller goes on waiting, ms. */
const breathMs = 1_000;

/** The ALPN name of a service's streams. */
export function protocolOf(service: Service): string {
  return `nexus-${service}/1`;
}

export interface FrameSocketNeeds {
  clock: Clock;
  role: Role;
  /** Largest frame that is taken; that of gRPC unless given. */
  bytesMax?: number;
  /** As FrameReader's; a fresh buffer unless given. */
  take?: (bytes: number) => Buffer;
  /** The peer is refused when its first frame does not come in time. */
  isFirstFrameTimed?: boolean;
}

export class FrameSocket implements PeerStream {
  readonly #socket: TLSSocket;
  readonly #needs: FrameSocketNeeds;
  readonly #events: StreamEvents;
  readonly #reader: FrameReader;
  readonly #isOver = (): boolean => this.#over || this.#refused;
  #timer: Timer | undefined;
  #first: Timer | undefined;
  #heardMs: number;
  #over = false;
  /** The last word was said; what comes now is not heard. */
  #refused = false;
  #paused = false;
  /** Somebody wants to know whether anybody is there. */
  #isAsked = false;
  /** Frames that came with the bytes during which it was paused. */
  #held: Buffer[] = [];
  #breath: Timer | undefined;

  constructor(socket: TLSSocket, needs: FrameSocketNeeds, events: StreamEvents) {
    this.#socket = socket;
    this.#needs = needs;
    this.#events = events;
    this.#heardMs = needs.clock.now();
    this.#reader = new FrameReader(needs.bytesMax ?? grpcMessageBytesMax, (frame) => this.#frame(frame), needs.take);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#events.drained?.());
    socket.on("error", (error) => this.#end(reasonOf(error)));
    socket.on("close", () => this.#end("closed by the peer"));
    this.#watch();
    if (needs.isFirstFrameTimed) {
      const refusal = refuse("DEADLINE", "the first frame did not come in time");
      this.#first = needs.clock.after(firstFrameMs, () => this.refuse(refusal));
    }
  }

  write(frame: Buffer, written?: () => void): boolean {
    return this.#socket.write(frame, written);
  }

  /** Frames of up to so many bytes are taken from now on. */
  takeUpTo(bytesMax: number): void {
    this.#reader.bytesMax = bytesMax;
  }

  /** No frame comes until `resume`, and no more than those already here are kept. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
    this.#breath ??= this.#needs.clock.after(breathMs, () => this.#breathe());
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#heardMs = this.#needs.clock.now();
    const held = this.#held;
    this.#held = [];
    for (const frame of held) this.#frame(frame);
    if (!this.#paused) this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  refuse({ code, message }: Refusal): void {
    if (this.#refused) return;
    this.#refused = true;
    const text = Buffer.from(`${code}: ${message}`);
    this.#socket.end(batchFrame(refusalField, [text], text.length));
  }

  destroy(): void {
    this.#over = true;
    this.#rest();
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver()) return;
    this.#heardMs = this.#needs.clock.now();
    const problem = this.#reader.push(chunk, this.#isOver);
    if (problem !== undefined) return this.#close(problem);
    // Once for all that asked in these bytes, and never more than the peer takes.
    if (this.#isAsked && !this.#isOver() && !this.#socket.writableNeedDrain) this.#socket.write(life);
    this.#isAsked = false;
  }

  #frame(frame: Buffer): void {
    if (this.#isOver()) return;
    if (this.#paused) return void this.#held.push(frame);
    const field = frame[0]! >> 3;
    if (field === lifeField) this.#isAsked = this.#needs.role === "server";
    else if (field === refusalField) this.#close(Buffer.from(readField(frame, field) ?? []).toString());
    else {
      this.#first?.cancel();
      this.#events.frame(frame);
    }
  }

  #watch(): void {
    const { clock, role } = this.#needs;
    // What came while this process was busy is read before the peer is judged.
    this.#timer = clock.after(pulses[role].lookMs, () => clock.defer(() => this.#look(pulses[role])));
  }

  #look({ lookMs, silentMs }: Pulse): void {
    if (this.#over) return;
    const quietMs = this.#needs.clock.now() - this.#heardMs;
    if (quietMs >= silentMs) return this.#close("the peer does not answer");
    if (this.#needs.role === "caller" && quietMs >= lookMs / 2) this.#socket.write(life);
    this.#watch();
  }

  /** Whoever waits for a sign of life gets one, though nobody reads that it was asked for. */
  #breathe(): void {
    this.#breath = undefined;
    if (!this.#paused || this.#over) return;
    this.#socket.write(life);
    this.#breath = this.#needs.clock.after(breathMs, () => this.#breathe());
  }

  #close(reason: string): void {
    this.#end(reason);
    this.#socket.destroy();
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#rest();
    this.#events.over(reason);
  }

  #rest(): void {
    this.#held = [];
    this.#timer?.cancel();
    this.#first?.cancel();
    this.#breath?.cancel();
  }
}

/** A name with several addresses fails with an error for each. */
function reasonOf(error: Error): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : messageOf(error);
}
