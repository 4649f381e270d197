import { afterAll, describe, expect, test } from "vitest";
import { joinBytes, utf8 } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { Authority } from "./authority.ts";
import { bulkSettings, TlsBulk } from "./bulk-client.ts";
import { serveBulk } from "./bulk-server.ts";
import { boxCredentials, peerSettings, selfOf } from "./federation.fixture.ts";
import { Listener } from "./listener.ts";
import { MemoryNetwork } from "./memory.ts";
import { MemoryBulk } from "./memory-bulk.ts";
import { MemoryHub } from "./memory-hub.ts";
import type { BulkClient, BulkServer, ChunkName, Remote, SnapshotStart } from "./ports.ts";
import { systemClock, systemRandom } from "./system-clock.ts";

/** Keeps what it is given in memory; refuses log 13. */
class Shelf implements BulkServer {
  readonly chunks = new Map<string, Uint8Array>();
  snapshotBytes: Uint8Array | undefined;
  broken: string | undefined;
  pulled = 0;

  async snapshot(_from: Remote, start: SnapshotStart, data: AsyncIterable<Uint8Array>): Promise<Refusal | undefined> {
    if (start.log === 13) return refuse("DISK_FULL", "no room for it");
    const parts: Uint8Array[] = [];
    try {
      for await (const part of data) {
        parts.push(part);
        this.pulled += part.length;
      }
    } catch (error) {
      this.broken = String(error);
      throw error;
    }
    this.snapshotBytes = joinBytes(...parts);
    return undefined;
  }
  async putChunk(_from: Remote, chunk: ChunkName, data: Uint8Array): Promise<Refusal | undefined> {
    if (chunk.log === 13) return refuse("DISK_FULL", "no room for it", { retryAfterMs: 5 });
    this.chunks.set(String(chunk.address), data.slice());
    return undefined;
  }
  async getChunk(_from: Remote, chunk: ChunkName): Promise<Uint8Array | undefined> {
    return this.chunks.get(String(chunk.address));
  }
}

interface Bench {
  client: BulkClient;
  shelf: Shelf;
}

const message = {
  ...{ log: 7, generation: 1, from: 1, to: 2, type: 7, term: 3, logTerm: 0, index: 0, commit: 0, entries: [] },
  ...{ reject: false, rejectHint: 0, context: Buffer.alloc(0), snapshot: undefined, vote: 0, epoch: 0, quiesce: false },
};
const address = new Uint8Array(33).fill(1);

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}

async function* pieces(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

/** Every BulkClient/BulkServer pair passes it. */
function describeBulk(name: string, makeBench: () => Promise<Bench>): void {
  describe(name, () => {
    test("a snapshot of several MiB arrives whole", async () => {
      const { client, shelf } = await makeBench();
      const data = pattern(5_000_000);

      const refusal = await client.sendSnapshot("b", { log: 7, message }, { source: pieces(data, 700_001) });

      expect(refusal).toBeUndefined();
      expect(Buffer.compare(shelf.snapshotBytes ?? utf8("none"), data)).toBe(0);
    });

    test("a receiver may refuse a snapshot at once, and the source is not read to its end", async () => {
      const { client } = await makeBench();
      let read = 0;
      async function* endless() {
        for (; read < 500; read++) yield pattern(100_000);
      }

      const refusal = await client.sendSnapshot("b", { log: 13, message }, { source: endless() });

      expect(refusal?.code).toBe("DISK_FULL");
      expect(read).toBeLessThan(500);
    });

    test("a chunk is put, got back, and absent under another name", async () => {
      const { client } = await makeBench();
      const data = pattern(1024 * 1024);

      expect(await client.putChunk("b", { log: 7, address }, { data })).toBeUndefined();
      const got = await client.getChunk("b", { log: 7, address }, {});
      const other = await client.getChunk("b", { log: 7, address: new Uint8Array(33) }, {});

      expect(got.kind === "data" && Buffer.compare(got.data, data)).toBe(0);
      expect(other).toEqual({ kind: "absent" });
    });

    test("refusals of a put come back with their code", async () => {
      const { client } = await makeBench();

      const refusal = await client.putChunk("b", { log: 13, address }, { data: pattern(10) });

      expect(refusal).toMatchObject({ code: "DISK_FULL", message: "no room for it" });
    });

    test("a chunk above 1 MiB is refused", async () => {
      const { client } = await makeBench();

      const refusal = await client.putChunk("b", { log: 7, address }, { data: new Uint8Array(1024 * 1024 + 1) });

      expect(refusal?.code).toBe("TOO_LARGE");
    });

    test("a box without an address and one that cannot be reached are refusals", async () => {
      const { client } = await makeBench();

      expect((await client.putChunk("nobody", { log: 7, address }, { data: pattern(1) }))?.code).toBe(
        "ZONE_UNAVAILABLE",
      );
      expect((await client.getChunk("gone", { log: 7, address }, {})).kind).toBe("refused");
    });

    test("a cancelled snapshot ends and is not taken for whole", async () => {
      const { client, shelf } = await makeBench();
      const abort = new AbortController();
      async function* source() {
        yield pattern(300_000);
        abort.abort();
        yield pattern(300_000);
      }

      const refusal = await client.sendSnapshot("b", { log: 7, message }, { source: source(), signal: abort.signal });

      expect(refusal).toBeDefined();
      expect(shelf.snapshotBytes).toBeUndefined();
    });
  });
}

const stops: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const stop of stops) await stop();
});
const authority = await Authority.create("acme", Date.now());

/** `isEarlier`: the receiver is a box that speaks gRPC alone. */
async function tlsBench(more: { settings?: typeof bulkSettings; isEarlier?: boolean } = {}): Promise<Bench> {
  const shelf = new Shelf();
  const listener = new Listener(peerSettings(await boxCredentials(authority, "b")));
  const onFrames: Listener["onFrames"] = more.isEarlier ? () => {} : (...taker) => listener.onFrames(...taker);
  serveBulk(
    { grpc: listener.grpc, onFrames },
    { clock: systemClock, self: selfOf("b"), admit: () => undefined, server: shelf },
  );
  const port = await listener.start();
  const credentials = await boxCredentials(authority, "a");
  const client = new TlsBulk(
    {
      clock: systemClock,
      self: selfOf("a"),
      credentials: () => credentials,
      address: (box) => {
        if (box === "nobody") return undefined;
        const endpoint = `127.0.0.1:${box === "gone" ? 1 : port}`;
        return { box, endpoint, incarnation: selfOf(box).incarnation, services: [] };
      },
    },
    more.settings,
  );
  stops.push(
    () => client.stop(),
    () => listener.stop(),
  );
  return { client, shelf };
}

describeBulk("bulk over TLS", tlsBench);
describeBulk("bulk to a box that speaks gRPC alone", () => tlsBench({ isEarlier: true }));
describeBulk("bulk in memory", async () => {
  const hub = new MemoryHub(systemClock, systemRandom);
  const shelf = new Shelf();
  new MemoryNetwork(hub, selfOf("b"), "b:1").bulkServer = shelf;
  const network = new MemoryNetwork(hub, selfOf("a"), "a:1");
  for (const box of ["b", "gone"]) {
    network.setPeer({ box, endpoint: `${box}:1`, incarnation: selfOf(box).incarnation, services: [] });
  }
  return { client: new MemoryBulk(network, () => undefined), shelf };
});

test("a snapshot is read from its source no faster than the receiver takes it", async () => {
  const [total, pieceBytes, leadMax] = [64 << 20, 256 << 10, 16 << 20];
  const { client, shelf } = await tlsBench();
  let [read, lead] = [0, 0];
  async function* source() {
    for (; read < total; read += pieceBytes) yield Buffer.alloc(pieceBytes, 7);
  }
  shelf.snapshot = async (_from, _start, data) => {
    let taken = 0;
    for await (const piece of data) {
      taken += piece.length;
      lead = Math.max(lead, read - taken);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    shelf.pulled = taken;
    return undefined;
  };

  expect(await client.sendSnapshot("b", { log: 7, message }, { source: source() })).toBeUndefined();

  expect(shelf.pulled).toBe(total);
  expect(lead).toBeGreaterThan(0);
  expect(lead).toBeLessThanOrEqual(leadMax);
});

test("the connection to a box that was removed is closed, and one that comes back gets another", async () => {
  const { client, shelf } = await tlsBench();
  const bulk = client as TlsBulk;
  const put = () => bulk.putChunk("b", { log: 7, address }, { data: pattern(10) });
  expect(await put()).toBeUndefined();
  expect(bulk.connections).toBe(1);

  bulk.forget("b");

  expect(bulk.connections).toBe(0);
  expect(await put()).toBeUndefined();
  expect([bulk.connections, shelf.chunks.size]).toEqual([1, 1]);
});

test("transfers beyond the places and the queue are refused as overload", async () => {
  const { client } = await tlsBench({ settings: { ...bulkSettings, runningMax: 1, waitingMax: 1 } });
  const put = () => client.putChunk("b", { log: 7, address }, { data: pattern(10) });

  const answers = await Promise.all([put(), put(), put()]);

  expect(answers.map((answer) => answer?.code)).toEqual([undefined, undefined, "OVERLOADED"]);
});
