import { equalBytes } from "../base/bytes.ts";
import { delay } from "../base/clock.ts";
import { NexusError, type Refusal, refuse } from "../base/errors.ts";
import type { MemoryNetwork } from "./memory.ts";
import {
  type BulkClient,
  type BulkServer,
  type ChunkAnswer,
  type ChunkName,
  chunkBytesMax,
  type Remote,
  type SnapshotOptions,
  type SnapshotStart,
} from "./ports.ts";

/** Bulk transfers over the in-memory hub: each piece takes the drawn delay and fails when it meets a cut. */
export class MemoryBulk implements BulkClient {
  readonly #network: MemoryNetwork;
  readonly #admit: (server: MemoryNetwork, remote: Remote) => Refusal | undefined;

  /** `admit` stands for the receiver's check of membership. */
  constructor(network: MemoryNetwork, admit: (server: MemoryNetwork, remote: Remote) => Refusal | undefined) {
    this.#network = network;
    this.#admit = admit;
  }

  sendSnapshot(box: string, start: SnapshotStart, options: SnapshotOptions): Promise<Refusal | undefined> {
    return this.#to(box, (server, way) =>
      server.snapshot(way.remote, start, way.carry(options.source, options.signal)),
    );
  }

  putChunk(box: string, chunk: ChunkName, options: { data: Uint8Array; signal?: AbortSignal }) {
    if (options.data.length > chunkBytesMax) return Promise.resolve(refuse("TOO_LARGE", "a chunk is at most 1 MiB"));
    return this.#to(box, async (server, way) => {
      await way.pass(options.signal);
      const refusal = await server.putChunk(way.remote, chunk, options.data);
      await way.pass(options.signal);
      return refusal;
    });
  }

  async getChunk(box: string, chunk: ChunkName, options: { signal?: AbortSignal }): Promise<ChunkAnswer> {
    let data: Uint8Array | undefined;
    const refusal = await this.#to(box, async (server, way) => {
      await way.pass(options.signal);
      data = await server.getChunk(way.remote, chunk);
      await way.pass(options.signal);
      return undefined;
    });
    if (refusal !== undefined) return { kind: "refused", refusal };
    return data === undefined ? { kind: "absent" } : { kind: "data", data };
  }

  async #to(
    box: string,
    act: (server: BulkServer, way: Way) => Promise<Refusal | undefined>,
  ): Promise<Refusal | undefined> {
    const address = this.#network.address(box);
    const target = address === undefined ? undefined : this.#network.hub.at(address.endpoint);
    const server = target?.bulkServer;
    if (address === undefined || target === undefined || server === undefined) {
      return refuse("ZONE_UNAVAILABLE", `box ${box} cannot be reached`);
    }
    if (target.self.box !== box || !equalBytes(target.self.incarnation, address.incarnation)) {
      return refuse("DENIED", `box ${box} has another incarnation than the caller means`);
    }
    const way = new Way(this.#network, target);
    try {
      return this.#admit(target, way.remote) ?? (await act(server, way));
    } catch (error) {
      if (error instanceof NexusError) return error.refusal;
      throw error;
    }
  }
}

/** From one process to another and back. */
class Way {
  readonly remote: Remote;
  readonly #from: MemoryNetwork;
  readonly #to: MemoryNetwork;

  constructor(from: MemoryNetwork, to: MemoryNetwork) {
    this.#from = from;
    this.#to = to;
    const { box, incarnation, featureLevel, version } = from.self;
    this.remote = { box, incarnation, featureLevel, version };
  }

  /** One piece's delay. Throws when the line is cut or an end is gone. */
  async pass(signal: AbortSignal | undefined): Promise<void> {
    const { hub, self } = this.#from;
    await delay(hub.clock, hub.delayMs());
    const cut = hub.isCut(self.box, this.#to.self.box) || hub.isCut(this.#to.self.box, self.box);
    if (signal?.aborted || cut || this.#from.stopped || this.#to.stopped) {
      throw new NexusError("ZONE_UNAVAILABLE", `the transfer to box ${this.#to.self.box} broke off`);
    }
  }

  async *carry(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    for await (const piece of source) {
      await this.pass(signal);
      yield piece;
    }
    await this.pass(signal);
  }
}
