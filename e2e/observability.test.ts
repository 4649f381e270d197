// What somebody on call sees of a federation: every metric of the list on the page, and the numbers move.
import { readFileSync } from "node:fs";
import { metricList } from "@nexus-federation/node/telemetry/metrics.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { Http } from "./harness/http.ts";
import { isAlive, until } from "./harness/run.ts";

/** Those that need an accident, or something that this federation does not do here. */
const mayRest = new Set<string>([
  "nexus_token_reviews_total",
  "nexus_raft_snapshots_total",
  "nexus_raft_needs_replication",
  "nexus_raft_follower_lag",
  "nexus_raft_proposals_pending",
  "nexus_staleness_seconds",
  "nexus_locks_held",
  "nexus_disk_full",
  "nexus_corrupt_total",
  "nexus_dropped_total",
  "nexus_queue_size",
  "nexus_queue_bytes",
  "nexus_connections_refused_total",
  "nexus_coordinator_failures_total",
]);

let federation: Federation;

beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(() => federation.down());

async function pageOf(name: string): Promise<string> {
  const answer = await new Http(federation, (await federation.box(name)).grpc).ask("GET", "/metrics");
  expect(answer.status).toBe(200);
  return answer.body.toString();
}

/** Sum of all samples of a metric over pages; of a histogram its count. */
function sumOf(pages: string[], name: string): number {
  let sum = 0;
  const line = new RegExp(`^${name}(?:_count)?(?:\\{[^}]*\\})? (\\S+)$`, "gm");
  for (const page of pages) for (const [, value] of page.matchAll(line)) sum += Number(value);
  return sum;
}

/** Metrics that should have moved by now and have not. */
function resting(pages: string[]): string[] {
  const names = Object.values(metricList).map(({ name }) => name as string);
  return names.filter((name) => !mayRest.has(name) && !(sumOf(pages, name) > 0));
}

/** Reads, writes, a lock and refusals through one box. */
async function useBox(name: string): Promise<void> {
  const client = await federation.clientOf(name);
  for (let i = 0; i < 20; i++) await client.put(`/${name}/${i}`, Buffer.from(`content ${i}`));
  await client.get(`/${name}/1`);
  const http = new Http(federation, (await federation.box(name)).grpc);
  const path = `/api/v1/files/${name}/large`;
  await http.ask("PUT", path, { body: Buffer.alloc(300_000, 7) });
  expect((await http.ask("GET", path)).body).toHaveLength(300_000);
  expect((await http.ask("GET", "/api/v1/files/absent")).status).toBe(404);
  expect((await http.ask("GET", path, { token: "wrong" })).status).toBe(401);
  expect((await http.ask("GET", "/healthz", { token: null })).status).toBe(200);
}

describe("after the loss of a leader, some traffic and refusals", () => {
  let pages: string[];

  beforeAll(async () => {
    const client = federation.client();
    await client.put("/before", Buffer.from("the change of leader"));
    const leader = await federation.leader();
    const pid = await federation.kill(leader);
    await client.put("/alone", Buffer.from("in SOLO"));
    await federation.restarted(leader, pid);
    await federation.whole();
    for (const box of ["nexus-1", "nexus-2"]) await useBox(box);
    // Gauges are taken now and then: what has happened is on a page some time later.
    const moved = async () => {
      pages = [await pageOf("nexus-1"), await pageOf("nexus-2")];
      return resting(pages).length === 0;
    };
    await until("all that must move has moved", moved, 60_000).catch(() => {});
  });

  test("both pages show every metric of the list, and nexus metrics that are not listed are none", () => {
    const listed = Object.values(metricList).map(({ name }) => name as string);
    for (const page of pages) {
      const shown = [...page.matchAll(/^# TYPE (nexus_\S+) /gm)].map(([, name]) => name);
      expect(shown.sort()).toEqual([...listed].sort());
    }
  });

  test("what must move has moved", () => {
    expect(resting(pages)).toEqual([]);
  });

  test("requests are told apart by door and operation, refusals by code", () => {
    const text = pages.join("\n");

    expect(text).toMatch(/^nexus_requests_total\{door="grpc",op="write"\} [1-9]/m);
    expect(text).toMatch(/^nexus_requests_total\{door="http",op="upload"\} [1-9]/m);
    expect(text).toMatch(/^nexus_requests_total\{door="http",op="download"\} [1-9]/m);
    expect(text).toMatch(/^nexus_requests_total\{door="peer",op="\w+"\} [1-9]/m);
    expect(text).toMatch(/^nexus_refused_total\{code="UNAUTHENTICATED"\} [1-9]/m);
    expect(text).toMatch(/^nexus_refused_total\{code="NOT_FOUND"\} [1-9]/m);
    expect(text).toMatch(/^nexus_witness_messages_total\{kind="vote",outcome="ok"\} [1-9]/m);
    expect(text).toMatch(/^nexus_coordinator_nodes_total\{status="alive"\} 3/m);
    expect(sumOf(pages, "nexus_raft_leader")).toBe(4);
  });
});

test("a box that is told to stop ends in order by itself, and writes go on at the other", async () => {
  const client = federation.client();
  const leader = await federation.leader();
  await client.put("/before", Buffer.from("x"));

  const startedMs = performance.now();
  const pid = await federation.kill(leader, "SIGTERM");
  await client.put("/during", Buffer.from("x"));
  const pausedMs = performance.now() - startedMs;
  await until("the process is gone", async () => !isAlive(pid));
  const stoppedMs = performance.now() - startedMs;
  await federation.restarted(leader, pid);

  // How long it takes is judged on a clock of its own (node/src/box/admin.test.ts): here it is only told.
  console.log(`a write after SIGTERM took ${Math.round(pausedMs)} ms, the stop ${Math.round(stoppedMs)} ms`);
  const log = readFileSync(federation.folder.log(leader), "utf8");
  expect(log).toMatch(/"reason":"SIGTERM","msg":"box stops"\}\n[\s\S]*"box listens"/);
  expect(log).not.toContain("did not go in order");
  expect((await client.get("/during")).content).toHaveLength(1);
});
