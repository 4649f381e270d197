import { type Client, Metadata, status } from "@grpc/grpc-js";
import { ChunkDone, ChunkRequest, Handshake, SnapshotDone } from "@nexus-federation/proto/peer.ts";
import { equalBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf, NexusError, type Refusal, refuse } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { ChunkReader, chunkFrames, decodeChunkFrame, snapshotFrames } from "./bulk-frames.ts";
import { bulkMethods, handshakeKey } from "./bulk-methods.ts";
import { clientToBox } from "./channel.ts";
import { ChunkLink } from "./chunk-link.ts";
import type { Credentials } from "./credentials.ts";
import { handshakeOf } from "./handshake.ts";
import type {
  BulkClient,
  ChunkAnswer,
  ChunkName,
  PeerAddress,
  SelfAddress,
  SnapshotOptions,
  SnapshotStart,
} from "./ports.ts";
import type { RawMethod } from "./raw.ts";
import { refusalOf } from "./refusals.ts";
import { Slots } from "./slots.ts";

export interface BulkNeeds {
  clock: Clock;
  self: SelfAddress;
  credentials: () => Credentials;
  address: (box: string) => PeerAddress | undefined;
}

export interface BulkSettings {
  /** Transfers at once to one peer, and those that may wait for a place; more are refused with OVERLOADED. */
  runningMax: number;
  waitingMax: number;
  /** A transfer without progress for this time is given up. */
  idleMs: number;
}

export const bulkSettings: BulkSettings = { runningMax: 8, waitingMax: 256, idleMs: 30_000 };

interface Peer {
  slots: Slots;
  channel: { client: Client; credentials: Credentials; endpoint: string } | undefined;
  /** Where chunks are put. A peer that speaks gRPC alone is asked again when the addresses or certificates change. */
  chunks: { link: ChunkLink; credentials: Credentials; address: PeerAddress } | undefined;
}

interface Running {
  cancel(): void;
  readonly progress: () => void;
}

/**
 * Bulk transfers over connections of their own, so that they never stand before a heartbeat. Chunks are put as frames
 * (chunk-link.ts), the rest is gRPC.
 */
export class TlsBulk implements BulkClient {
  readonly #needs: BulkNeeds;
  readonly #settings: BulkSettings;
  readonly #peers = new Map<string, Peer>();

  constructor(needs: BulkNeeds, settings: BulkSettings = bulkSettings) {
    this.#needs = needs;
    this.#settings = settings;
  }

  sendSnapshot(box: string, start: SnapshotStart, options: SnapshotOptions): Promise<Refusal | undefined> {
    return this.#inPlace(box, (open) => {
      const frames = snapshotFrames(start, options.source);
      return this.#upload(open, { method: bulkMethods.snapshot, frames, signal: options.signal }, (done) =>
        refusalIn(SnapshotDone.decode(done)),
      );
    });
  }

  putChunk(
    box: string,
    chunk: ChunkName,
    options: { data: Uint8Array; signal?: AbortSignal },
  ): Promise<Refusal | undefined> {
    return this.#inPlace(box, async (open) => {
      const link = this.#chunksOf(open.peer, open.address);
      if (await link.ready) return options.signal?.aborted ? givenUp : link.put(chunk, options.data);
      if (link.ended !== undefined) return link.ended;
      const frames = chunkFrames(chunk, options.data);
      return this.#upload(open, { method: bulkMethods.putChunk, frames, signal: options.signal }, (done) =>
        refusalIn(ChunkDone.decode(done)),
      );
    });
  }

  async getChunk(box: string, chunk: ChunkName, options: { signal?: AbortSignal }): Promise<ChunkAnswer> {
    const reader = new ChunkReader();
    let failure: Refusal | undefined;
    const refusal = await this.#inPlace(box, (open) =>
      this.#download(open, { chunk, signal: options.signal }, (frame) => {
        const answer = decodeChunkFrame(frame);
        if (answer.failure === undefined) reader.take(answer);
        else failure = refusalOfFailure(answer.failure);
      }),
    );
    if (failure?.code === "NOT_FOUND") return { kind: "absent" };
    const refused = failure ?? refusal;
    if (refused !== undefined) return { kind: "refused", refusal: refused };
    try {
      return { kind: "data", data: reader.whole().data };
    } catch (error) {
      return { kind: "refused", refusal: refuse("CORRUPT", messageOf(error)) };
    }
  }

  /** The box is gone: its connection is closed, transfers under way with it end. */
  forget(box: string): void {
    const peer = this.#peers.get(box);
    peer?.channel?.client.close();
    peer?.chunks?.link.close();
    this.#peers.delete(box);
  }

  /** Boxes to which a connection is kept. */
  get connections(): number {
    let open = 0;
    for (const { channel, chunks } of this.#peers.values()) {
      if (channel !== undefined || (chunks !== undefined && chunks.link.ended === undefined)) open++;
    }
    return open;
  }

  stop(): void {
    for (const box of this.#peers.keys()) this.forget(box);
  }

  /** Runs `act` with the peer's channel when a place is free. */
  async #inPlace(box: string, act: (open: Opened) => Promise<Refusal | undefined>): Promise<Refusal | undefined> {
    const peer = this.#peers.get(box) ?? {
      slots: new Slots(this.#settings.runningMax, this.#settings.waitingMax),
      channel: undefined,
      chunks: undefined,
    };
    this.#peers.set(box, peer);
    if (!(await peer.slots.enter())) {
      return refuse("OVERLOADED", `too many transfers to box ${box} wait`, { retryAfterMs: 100 });
    }
    try {
      const address = this.#needs.address(box);
      if (address === undefined) return refuse("ZONE_UNAVAILABLE", `the address of box ${box} is not known`);
      return await act({ peer, address });
    } catch (error) {
      if (error instanceof NexusError) return error.refusal;
      throw error;
    } finally {
      peer.slots.leave();
    }
  }

  /** The connection on which chunks are put, or a new one when that has ended, or address or certificates changed. */
  #chunksOf(peer: Peer, address: PeerAddress): ChunkLink {
    const credentials = this.#needs.credentials();
    const known = peer.chunks;
    const isSame =
      known?.credentials === credentials &&
      known.address.endpoint === address.endpoint &&
      equalBytes(known.address.incarnation, address.incarnation);
    if (known !== undefined && isSame && (known.link.ended === undefined || known.link.isResting)) return known.link;
    known?.link.finish();
    const { clock, self } = this.#needs;
    const target = { own: credentials, federation: self.federation, box: address.box, endpoint: address.endpoint };
    const link = new ChunkLink({ clock, self, idleMs: this.#settings.idleMs }, target, address);
    peer.chunks = { link, credentials, address };
    return link;
  }

  #metadataFor(address: PeerAddress): Metadata {
    const metadata = new Metadata();
    const handshake = Handshake.encode(handshakeOf(this.#needs.self, address)).finish();
    metadata.set(handshakeKey, Buffer.from(handshake));
    return metadata;
  }

  /** The open channel, or a new one when address or certificates changed. */
  #clientOf(peer: Peer, address: PeerAddress): Client {
    const credentials = this.#needs.credentials();
    const { endpoint } = address;
    const known = peer.channel;
    if (known !== undefined && known.credentials === credentials && known.endpoint === endpoint) return known.client;
    known?.client.close();
    const client = clientToBox({
      own: credentials,
      federation: this.#needs.self.federation,
      box: address.box,
      endpoint,
    });
    peer.channel = { client, credentials, endpoint };
    return client;
  }

  async #upload(
    open: Opened,
    init: { method: RawMethod; frames: AsyncIterable<Buffer> | Iterable<Buffer>; signal?: AbortSignal },
    read: (done: Buffer) => Refusal | undefined,
  ): Promise<Refusal | undefined> {
    const { method, frames, signal } = init;
    let over = false;
    let wake: () => void = () => {};
    let settle: (refusal: Refusal | undefined) => void = () => {};
    const answer = new Promise<Refusal | undefined>((resolve) => {
      settle = resolve;
    });
    const call = this.#clientOf(open.peer, open.address).makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      this.#metadataFor(open.address),
      (error, done?: Buffer) => {
        over = true;
        wake();
        settle(error !== null ? refusalOf(error) : done === undefined ? refuse("INTERNAL", "no answer") : read(done));
      },
    );
    call.on("drain", () => wake());
    call.on("error", () => wake());
    const running = this.#watch(call, signal);
    try {
      for await (const frame of frames) {
        if (over) break;
        running.progress();
        if (call.write(frame)) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (over) resolve();
        });
      }
      if (!over) call.end();
      return await answer;
    } finally {
      running.cancel();
      if (!over) call.cancel();
    }
  }

  #download(
    open: Opened,
    init: { chunk: ChunkName; signal?: AbortSignal },
    take: (frame: Buffer) => void,
  ): Promise<Refusal | undefined> {
    const { path, requestSerialize, responseDeserialize } = bulkMethods.getChunk;
    const request = ChunkRequest.encode({ log: init.chunk.log, address: Buffer.from(init.chunk.address) }).finish();
    const call = this.#clientOf(open.peer, open.address).makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from(request),
      this.#metadataFor(open.address),
    );
    const running = this.#watch(call, init.signal);
    return new Promise<Refusal | undefined>((resolve) => {
      call.on("data", (frame: Buffer) => {
        running.progress();
        try {
          take(frame);
        } catch (error) {
          resolve(error instanceof NexusError ? error.refusal : refuse("CORRUPT", messageOf(error)));
          call.cancel();
        }
      });
      call.on("error", (error) => resolve(refusalOf(error)));
      call.on("status", ({ code }) => {
        if (code === status.OK) resolve(undefined);
      });
    }).finally(() => running.cancel());
  }

  /** Cancels the call when nothing moves for idleMs or the signal fires. */
  #watch(call: { cancel(): void }, signal: AbortSignal | undefined): Running {
    const { clock } = this.#needs;
    let lastMs = clock.now();
    let timer = clock.after(this.#settings.idleMs, check);
    const { idleMs } = this.#settings;
    const stop = () => call.cancel();
    function check(): void {
      const leftMs = lastMs + idleMs - clock.now();
      if (leftMs <= 0) call.cancel();
      else timer = clock.after(leftMs, check);
    }
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    return {
      progress: () => {
        lastMs = clock.now();
      },
      cancel: () => {
        timer.cancel();
        signal?.removeEventListener("abort", stop);
      },
    };
  }
}

interface Opened {
  peer: Peer;
  address: PeerAddress;
}

const givenUp = refuse("DEADLINE", "the transfer was given up");

function refusalIn({ failure }: SnapshotDone | ChunkDone): Refusal | undefined {
  return failure && refusalOfFailure(failure);
}
