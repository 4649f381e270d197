import { assert } from "../base/assert.ts";
import { noBytes } from "../base/bytes.ts";
import type { Message } from "../raft/messages.ts";
import type { PeerNetwork } from "../transport/ports.ts";
import { messageBytesMax } from "../transport/ports.ts";
import { FrameWriter, type HostMessageType } from "./wire.ts";

/** A frame is sent before it grows beyond this; one message may be larger. */
const frameBytesSoft = 1024 * 1024;

export interface Addressed {
  log: number;
  generation: number;
  message: Message;
  quiesce?: boolean;
  host?: HostMessageType;
}

/** Outgoing messages of a turn: one frame a box. */
export class Outbox {
  readonly #network: Pick<PeerNetwork, "send">;
  readonly #frames = new Map<string, FrameWriter>();
  readonly #open = new Set<string>();
  /** Told of every frame that leaves. */
  readonly #onSent: (box: string) => void;

  constructor(network: Pick<PeerNetwork, "send">, onSent: (box: string) => void) {
    this.#network = network;
    this.#onSent = onSent;
  }

  add(box: string, { log, generation, message, quiesce = false, host }: Addressed): void {
    const frame = this.#frameOf(box);
    let bytes = message.context.length + 256;
    for (const entry of message.entries) bytes += entry.data.length + 64;
    if (frame.count > 0 && frame.sizeBytes + bytes > frameBytesSoft) this.#send(box, frame);
    assert(bytes <= messageBytesMax, `a message of ${bytes} bytes fits a frame`);
    frame.add({ log, generation, message, quiesce, host, conf: noBytes });
    this.#open.add(box);
  }

  addLife(box: string): void {
    this.#frameOf(box).addLife();
    this.#open.add(box);
  }

  sendAll(): void {
    if (this.#open.size === 0) return;
    for (const box of this.#open) this.#send(box, this.#frameOf(box));
    this.#open.clear();
  }

  #frameOf(box: string): FrameWriter {
    let frame = this.#frames.get(box);
    if (frame === undefined) {
      frame = new FrameWriter();
      this.#frames.set(box, frame);
    }
    return frame;
  }

  #send(box: string, frame: FrameWriter): void {
    const bytes = frame.take();
    if (bytes.length === 0) return;
    this.#network.send("raft", box, bytes);
    this.#onSent(box);
  }
}
