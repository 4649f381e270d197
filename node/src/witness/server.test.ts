import type { WitnessReply, WitnessRequest } from "@nexus-federation/proto/raft.ts";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { MemoryDisk } from "../log/disk-memory.ts";
import { metricsPage } from "./metrics.ts";
import { RecordStore } from "./records.ts";
import { defaultSettings, WitnessServer } from "./server.ts";

type Op = NonNullable<WitnessRequest["op"]>;
const A = Buffer.alloc(16, 1);
const B = Buffer.alloc(16, 2);
const join: Op = { $case: "join", value: { named: [] } };
const forget: Op = { $case: "forget", value: {} };
const vote = (candidate: Buffer, term: number, last = { lastTerm: 1, lastEpoch: 0 }): Op => ({
  $case: "vote",
  value: { term, candidate, ...last, pre: false },
});
const engage = (leader: Buffer, term: number, epoch: number): Op => ({
  $case: "engage",
  value: { term, leader, epoch },
});

class Bench {
  disk = new MemoryDisk();
  fatal: unknown;
  server!: WitnessServer;
  private readonly random = seededRandom(1);

  async start(settings = defaultSettings): Promise<this> {
    const store = await RecordStore.open(this.disk, { recordsMax: 8 });
    const needs = {
      store,
      newIncarnation: () => this.random.bytes(16),
      onFatal: (error: unknown) => (this.fatal = error),
    };
    this.server = new WitnessServer(needs, settings);
    return this;
  }

  ask(op: Op, at: { log?: number; incarnation?: Buffer; from?: Buffer } = {}): Promise<WitnessReply> {
    const { log = 5, incarnation = Buffer.alloc(0), from = A } = at;
    const request = { sequence: 77, log, generation: 1, incarnation, op };
    return new Promise((resolve) => this.server.handle(from, [request], (replies) => resolve(replies[0]!)));
  }
}

describe("witness server", () => {
  test("votes and engages as the rules say and keeps it over a restart", async () => {
    const bench = await new Bench().start();
    const { incarnation } = await bench.ask(join);

    expect(await bench.ask(vote(A, 2), { incarnation })).toMatchObject({ ok: true, term: 2, sequence: 77, error: "" });
    expect(await bench.ask(vote(B, 2), { incarnation, from: B })).toMatchObject({ ok: false, term: 2 });
    expect(await bench.ask(engage(A, 2, 1), { incarnation })).toMatchObject({ ok: true, term: 2, epoch: 1 });

    await bench.start();
    expect(await bench.ask(vote(B, 3), { incarnation, from: B })).toMatchObject({ ok: false, term: 3 });
    const last = { lastTerm: 2, lastEpoch: 1 };
    expect(await bench.ask(vote(B, 4, last), { incarnation, from: B })).toMatchObject({ ok: false });
    expect(await bench.ask(vote(A, 4, last), { incarnation })).toMatchObject({ ok: true });
  });

  test("no reply that tells of an undurable decision leaves before the write, even one that changed nothing", async () => {
    const bench = await new Bench().start();
    const { incarnation } = await bench.ask(join);
    bench.disk.stall();
    const answers: string[] = [];
    const first = bench.ask(vote(A, 2), { incarnation }).then(() => answers.push("vote"));
    const ping = bench.ask({ $case: "ping", value: { term: 2 } }, { incarnation }).then(() => answers.push("ping"));
    const repeated = bench.ask(vote(A, 2), { incarnation }).then(() => answers.push("repeated"));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(answers).toEqual([]);

    bench.disk.resume();
    await Promise.all([first, ping, repeated]);

    expect(answers).toEqual(["vote", "ping", "repeated"]);
  });

  test("requests that arrive during a write share the next one", async () => {
    const bench = await new Bench().start();
    const joined = await Promise.all([1, 2, 3, 4, 5].map((log) => bench.ask(join, { log })));
    expect(bench.server.counters.writes).toBe(2);
    const before = bench.server.counters.writes;

    const votes = joined.map(({ incarnation }, k) => bench.ask(vote(A, 2), { log: k + 1, incarnation }));
    expect((await Promise.all(votes)).every((reply) => reply.ok)).toBe(true);

    expect(bench.server.counters.writes - before).toBe(2);
  });

  test("unknown records, other incarnations and foreign candidates are refused and create nothing", async () => {
    const bench = await new Bench().start();
    expect(await bench.ask(vote(A, 2), { incarnation: B })).toMatchObject({ ok: false, error: "unknown-record" });
    expect(bench.server.records).toBe(0);
    const { incarnation } = await bench.ask(join);

    expect(await bench.ask(vote(A, 2), { incarnation: B })).toMatchObject({ error: "wrong-incarnation" });
    expect(await bench.ask(vote(A, 2), { incarnation, log: 6 })).toMatchObject({ error: "unknown-record" });
    expect(await bench.ask(vote(A, 2), { incarnation, from: B })).toMatchObject({ error: "wrong-incarnation" });
    expect(await bench.ask(engage(A, 2, 1), { incarnation, from: B })).toMatchObject({ error: "wrong-incarnation" });
    expect(bench.server.records).toBe(1);
  });

  test("every join draws a fresh incarnation and a forgotten one stays unknown", async () => {
    const bench = await new Bench().start();
    const first = await bench.ask(join);
    const second = await bench.ask(join);
    expect(first.incarnation.equals(second.incarnation)).toBe(false);

    expect(await bench.ask(forget, { incarnation: first.incarnation })).toMatchObject({ ok: true });

    await bench.start();
    expect(await bench.ask(vote(A, 2), { incarnation: first.incarnation })).toMatchObject({
      error: "wrong-incarnation",
    });
    expect(await bench.ask(vote(A, 2), { incarnation: second.incarnation })).toMatchObject({ ok: true });
  });

  test("joins beyond the limits are answered full while every record is used or named", async () => {
    const bench = await new Bench().start({ waitingBatchesMax: 2, recordsPerGroupMax: 2 });
    const used = await bench.ask(join);
    expect((await bench.ask(vote(A, 2), { incarnation: used.incarnation })).ok).toBe(true);
    const { incarnation } = await bench.ask(join);
    const named: Op = { $case: "join", value: { named: [incarnation] } };

    expect((await bench.ask(named)).error).toBe("full");
    for (let log = 10; log < 16; log++) expect((await bench.ask(join, { log })).error).toBe("");
    expect((await bench.ask(join, { log: 20 })).error).toBe("full");
  });

  test("joins whose answers were lost do not count for ever: a later one takes their place", async () => {
    const bench = await new Bench().start({ waitingBatchesMax: 2, recordsPerGroupMax: 3 });
    const used = await bench.ask(join);
    expect((await bench.ask(vote(A, 2), { incarnation: used.incarnation })).ok).toBe(true);
    const idle = await bench.ask(join);
    const lost = await bench.ask(join);

    const fresh = await bench.ask({ $case: "join", value: { named: [idle.incarnation] } });

    expect(fresh.error).toBe("");
    await bench.start();
    const known = async (incarnation: Buffer) => (await bench.ask(vote(A, 3), { incarnation })).error;
    expect(await known(lost.incarnation)).toBe("wrong-incarnation");
    for (const { incarnation } of [used, idle, fresh]) expect(await known(incarnation)).toBe("");
  });

  test("a batch beyond the queue of waiting batches is refused at once", async () => {
    const bench = await new Bench().start({ waitingBatchesMax: 1, recordsPerGroupMax: 8 });
    const first = bench.ask(join);

    expect(await bench.ask(join)).toMatchObject({ ok: false, error: "full" });
    expect((await first).ok).toBe(true);
  });

  test("after a failed write nothing is answered any more", async () => {
    const bench = await new Bench().start();
    const { incarnation } = await bench.ask(join);
    bench.disk.failWrites = true;
    let answered = false;
    void bench.ask(vote(A, 2), { incarnation }).then(() => (answered = true));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    void bench.ask({ $case: "ping", value: { term: 1 } }, { incarnation }).then(() => (answered = true));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();

    expect(bench.fatal).toMatchObject({ code: "INTERNAL" });
    expect(answered).toBe(false);
  });

  test("the metrics page has every counter", async () => {
    const bench = await new Bench().start();
    await bench.ask(join);

    const page = metricsPage(bench.server);

    expect(page).toContain("# TYPE nexus_witness_joined_total counter\nnexus_witness_joined_total 1\n");
    expect(page).toContain("nexus_witness_records 1\n");
  });
});
