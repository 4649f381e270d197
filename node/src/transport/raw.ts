// Byte streams over gRPC: no message objects, no promises, one write a turn.

import type { MethodDefinition } from "@grpc/grpc-js";
import { assert } from "../base/assert.ts";
import { batchFrame } from "./frames.ts";
import { messageBytesMax, type Service } from "./ports.ts";

const same = (bytes: Buffer): Buffer => bytes;
const identity = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** A gRPC method whose messages are bytes. */
export type RawMethod = MethodDefinition<Buffer, Buffer>;

export function rawMethod(path: string, streams: { request: boolean; response: boolean }): RawMethod {
  return { path, requestStream: streams.request, responseStream: streams.response, ...identity };
}

const both = { request: true, response: true };
export const streamMethods: Record<Service, RawMethod> = {
  raft: rawMethod("/nexus.v1.Peer/Raft", both),
  forward: rawMethod("/nexus.v1.Peer/Forward", both),
  witness: rawMethod("/nexus.v1.Witness/Batch", both),
};

/** What a writer needs of a stream: grpc-js calls of both sides have it. */
export interface ByteSink {
  /** `written` is called when the bytes have left for the socket; in order. */
  write(frame: Buffer, written: () => void): boolean;
}

export interface WriterLimits {
  /** Bytes that may wait while a stream is open. */
  queueBytesMax: number;
  /** Bytes that may wait while there is none. */
  idleBytesMax: number;
  /** Bytes handed to the stream and not yet written: more waits here, where it can still be dropped. */
  flightBytesMax: number;
  /** A frame is closed at this size; a single larger message makes a larger frame. */
  frameBytesMax: number;
}

const writerLimits: WriterLimits = {
  queueBytesMax: 32 * 1024 * 1024,
  idleBytesMax: 1024 * 1024,
  flightBytesMax: 4 * 1024 * 1024,
  frameBytesMax: 1024 * 1024,
};

/** What went through the streams of one service since the start. */
export class Traffic {
  sentBytes = 0;
  receivedBytes = 0;
  /** Messages dropped or refused because of the limits. */
  dropped = 0;
}

/**
 * Collects the messages of one turn into few frames. A stream that is congested (its bytes in flight are at the limit)
 * leaves messages here; beyond the queue's limit the oldest are dropped or the newest is refused.
 */
export class FrameWriter {
  #queue: Uint8Array[] = [];
  #head = 0;
  #queuedBytes = 0;
  #sink: ByteSink | undefined;
  #scheduled = false;
  /** Sizes of frames in flight, oldest first. */
  #flight: number[] = [];
  #flightBytes = 0;
  readonly #field: number;
  readonly #overflow: "drop-oldest" | "refuse";
  readonly #limits: WriterLimits;
  readonly #traffic: Traffic;
  readonly #defer: (fn: () => void) => void;
  readonly #flushBound = (): void => this.#flush();

  constructor(
    defer: (fn: () => void) => void,
    init: { field: number; overflow: "drop-oldest" | "refuse"; limits?: WriterLimits; traffic?: Traffic },
  ) {
    this.#defer = defer;
    this.#field = init.field;
    this.#overflow = init.overflow;
    this.#limits = init.limits ?? writerLimits;
    this.#traffic = init.traffic ?? new Traffic();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }
  /** Messages dropped or refused because of the limits since the start, by all that share the traffic. */
  get dropped(): number {
    return this.#traffic.dropped;
  }

  /** Queues one message for the end of the turn. False: refused, nothing will be sent. */
  push(message: Uint8Array): boolean {
    assert(message.length <= messageBytesMax, "a message is at most 4 MiB");
    if (message.length === 0) return true;
    const limit = this.#sink === undefined ? this.#limits.idleBytesMax : this.#limits.queueBytesMax;
    if (this.#queuedBytes + message.length > limit && this.#queuedBytes > 0) {
      if (this.#overflow === "refuse") {
        this.#traffic.dropped++;
        return false;
      }
      this.#dropTo(limit - message.length);
    }
    this.#queue.push(message);
    this.#queuedBytes += message.length;
    this.#schedule();
    return true;
  }

  /** From here on frames go to `sink`. */
  open(sink: ByteSink): void {
    this.#sink = sink;
    this.#flight = [];
    this.#flightBytes = 0;
    this.#schedule();
  }

  /** The stream is gone. Messages that wait are kept (drop-oldest, up to idleBytesMax) or thrown away (refuse). */
  close(): void {
    this.#sink = undefined;
    this.#dropTo(this.#overflow === "refuse" ? 0 : this.#limits.idleBytesMax);
  }

  #schedule(): void {
    if (this.#scheduled || this.#sink === undefined || this.#queuedBytes === 0) return;
    if (this.#flightBytes >= this.#limits.flightBytesMax) return;
    this.#scheduled = true;
    this.#defer(this.#flushBound);
  }

  #flush(): void {
    this.#scheduled = false;
    const sink = this.#sink;
    while (sink !== undefined && sink === this.#sink && this.#queuedBytes > 0) {
      if (this.#flightBytes >= this.#limits.flightBytesMax) return;
      const frame = this.#takeFrame();
      this.#flight.push(frame.length);
      this.#flightBytes += frame.length;
      this.#traffic.sentBytes += frame.length;
      sink.write(frame, () => this.#written(sink));
    }
  }

  #takeFrame(): Buffer {
    const from = this.#head;
    let bytes = 0;
    let end = from;
    while (end < this.#queue.length) {
      const length = this.#queue[end]!.length;
      if (end > from && bytes + length > this.#limits.frameBytesMax) break;
      bytes += length;
      end++;
    }
    const frame = batchFrame(this.#field, this.#queue.slice(from, end), bytes);
    this.#advance(end, bytes);
    return frame;
  }

  #written(sink: ByteSink): void {
    if (sink !== this.#sink) return;
    this.#flightBytes -= this.#flight.shift() ?? 0;
    this.#schedule();
  }

  #dropTo(bytes: number): void {
    let end = this.#head;
    let dropped = 0;
    while (end < this.#queue.length && this.#queuedBytes - dropped > bytes) dropped += this.#queue[end++]!.length;
    this.#traffic.dropped += end - this.#head;
    this.#advance(end, dropped);
  }

  #advance(head: number, bytes: number): void {
    this.#queuedBytes -= bytes;
    this.#head = head;
    if (head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (head > 1024 && head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(head);
      this.#head = 0;
    }
  }
}
