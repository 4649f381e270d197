import { afterEach, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { pause, until } from "./harness/run.ts";
import { box, documents, systemGroup, zone } from "./harness/yaml.ts";

let federation: Federation | undefined;
afterEach(async () => {
  expect(await federation?.down()).toEqual([]);
  federation = undefined;
});

/** Two regions: n1 decides, n2 keeps copies. */
const twoRegions = (more: string[]) =>
  documents(box("n1", { region: "cn" }), box("n2", { region: "us" }), systemGroup("sys", ["n1"]), ...more);

test("a rule that would hide data is refused naming the count, and is installed once the data is gone", async () => {
  const root = zone("root", "/**", "mode: strong, authorityBox: n1");
  const team = zone("team", "/team/**", "mode: strong, authorityBox: n2");
  federation = await Federation.up({ yaml: twoRegions([root]) });
  const client = federation.client();
  for (const name of ["a", "b", "c"]) await client.put(`/team/${name}`, name);
  await client.put("/other", "kept");

  const more = zone("more", "/more/**", "mode: strong, authorityBox: n2");
  const refused = await federation.apply(documents(team, more));
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(/ConsensusZone\/team: RuleRefused: .*NOT_EMPTY.*3 files and 0 locks lie below \/team/);
  expect(Buffer.from((await client.get("/team/b")).content).toString()).toBe("b");
  expect((await client.put("/more/x", "x")).receipt.zone).toBe("more");
  const softer = zone("root", "/**", "mode: eventual, authorityBox: n1");
  expect((await federation.apply(softer)).stdout).toMatch(/ConsensusZone\/team is stalled as before/);
  expect((await client.put("/other", "x")).receipt.mode).toBe("eventual");

  await client.delete("/team", { recursive: true });
  await until("the rule is installed", async () =>
    (await federation!.status()).zones.some((one) => one.name === "team" && one.ready),
  );
  await until("the new zone serves its paths", async () => {
    const { receipt } = await client.put("/team/new", "x");
    return receipt.zone === "team";
  });
  expect((await client.put("/other2", "x")).receipt.zone).toBe("root");
});

test("of two zones of one pattern that are applied at the same time one is served, and the other names both", async () => {
  federation = await Federation.up({ yaml: twoRegions([]) });
  const files = ["beta", "alpha"].map((name) =>
    federation!.file(`${name}.yaml`, zone(name, "/same/**", "mode: strong, authorityBox: n1")),
  );
  const ran = await Promise.all(files.map((file) => federation!.nexus(["apply", "-f", file, "--wait", "60s"])));

  const { faults, zones } = await federation.settled();
  expect(zones.filter((one) => one.ready)).toHaveLength(1);
  expect(faults).toHaveLength(1);
  const [winner, loser] = zones[0]?.ready ? zones : [...zones].reverse();
  expect(faults[0]).toMatchObject({ object: `ConsensusZone/${loser?.name}`, reason: "PatternAmbiguous" });
  expect(faults[0]?.message).toMatch(/zone alpha.*zone beta|zone beta.*zone alpha/);
  expect(ran.some(({ code, stdout }) => code === 1 && stdout.includes("PatternAmbiguous"))).toBe(true);
  expect((await federation.client().put("/same/x", "x")).receipt.zone).toBe(winner?.name);
});

test("a replica of an eventual zone answers locally with a true bound, and refuses when the authority is away for longer", async () => {
  const cache = zone("cache", "/cache/**", "mode: eventual, authorityBox: n1, replicas: [n2], staleReadMaxAge: 4s");
  const root = zone("root", "/**", "mode: strong, authorityBox: n1, replicas: [n2]");
  federation = await Federation.up({ yaml: twoRegions([root, cache]) });
  const far = await federation.clientOf("n2", { timeoutMs: 3000 });
  const near = federation.client();
  const written = await near.put("/cache/a", "1");
  const own = await far.get("/cache/a", { after: written.receipt.token });
  expect(Buffer.from(own.content).toString()).toBe("1");
  expect(own.receipt.mode).toBe("eventual");

  const reads: { stalenessMs: number; value: number; atMs: number }[] = [];
  const puts: { value: number; atMs: number }[] = [];
  for (let value = 2; value < 60; value++) {
    await near.put("/cache/a", String(value));
    puts.push({ value, atMs: performance.now() });
    const askedMs = performance.now();
    const { content, receipt } = await far.get("/cache/a");
    reads.push({ value: Number(Buffer.from(content).toString()), stalenessMs: receipt.stalenessMs, atMs: askedMs });
  }
  for (const read of reads) {
    // What was acknowledged before the bound's reach must be seen.
    const mustSee = puts.filter((put) => put.atMs < read.atMs - read.stalenessMs).at(-1);
    expect(read.value).toBeGreaterThanOrEqual(mustSee?.value ?? 0);
    expect(read.stalenessMs).toBeLessThanOrEqual(4000);
  }

  const pid = await federation.freeze("n1");
  const first = await far.get("/cache/a");
  await pause(1000);
  const second = await far.get("/cache/a", { maxStalenessMs: 30_000 });
  expect(second.receipt.stalenessMs).toBeGreaterThan(first.receipt.stalenessMs);
  expect(second.receipt.stalenessMs).toBeGreaterThanOrEqual(1000);
  await until("the bound of the zone is passed", () =>
    far.get("/cache/a").then(
      () => false,
      (error) => ["STALENESS_EXCEEDED", "AUTHORITY_UNREACHABLE"].includes(error.code),
    ),
  );
  await expect(far.get("/cache/a", { maxStalenessMs: 1000, readPreference: "local" })).rejects.toMatchObject({
    code: "STALENESS_EXCEEDED",
  });
  expect((await far.get("/cache/a", { maxStalenessMs: 600_000 })).receipt.stalenessMs).toBeGreaterThan(4000);
  await expect(far.put("/cache/b", "x", { timeoutMs: 2000 })).rejects.toMatchObject({ name: "NexusError" });
  federation.thaw(pid);
  await until("it is fresh again", async () => (await far.get("/cache/a")).receipt.stalenessMs < 4000);
});

test("a strong zone's replica gives bounded-stale answers when asked, and locks are refused in an eventual one", async () => {
  const cache = zone("cache", "/cache/**", "mode: eventual, authorityBox: n1, replicas: [n2]");
  const root = zone("root", "/**", "mode: strong, authorityBox: n1, replicas: [n2]");
  federation = await Federation.up({ yaml: twoRegions([root, cache]) });
  const far = await federation.clientOf("n2", { timeoutMs: 3000 });
  const { receipt } = await far.put("/s/a", "1");
  expect(receipt).toMatchObject({ mode: "strong", stalenessMs: 0 });
  expect((await far.get("/s/a")).receipt.stalenessMs).toBe(0);
  const local = await far.get("/s/a", { maxStalenessMs: 5000, readPreference: "local", after: receipt.token });
  expect(local.receipt.stalenessMs).toBeLessThanOrEqual(5000);
  await expect(far.acquire("/cache/lock")).rejects.toMatchObject({ code: "CONSISTENCY" });
  await expect(far.put("/cache/a", "x", { ifNoneMatch: true })).rejects.toMatchObject({ code: "CONSISTENCY" });

  const pid = await federation.freeze("n1");
  await expect(far.put("/s/b", "x", { timeoutMs: 2500 })).rejects.toMatchObject({ name: "NexusError" });
  const stale = await far.get("/s/a", { maxStalenessMs: 60_000, readPreference: "local" });
  expect(Buffer.from(stale.content).toString()).toBe("1");
  await expect(far.get("/s/a", { timeoutMs: 2500 })).rejects.toMatchObject({ code: "AUTHORITY_UNREACHABLE" });
  federation.thaw(pid);
});

test("a path without a rule answers NO_ZONE, and a retired zone's data comes back with its rule", async () => {
  const only = zone("only", "/only/**", "mode: strong, authorityBox: n1");
  federation = await Federation.up({ yaml: twoRegions([only]) });
  const client = federation.client({ timeoutMs: 5000 });
  await expect(client.put("/elsewhere", "x")).rejects.toMatchObject({ code: "NO_ZONE" });
  await client.put("/only/a", "kept");
  const file = federation.file("only.yaml", only);
  await federation.nexus(["delete", "-f", file, "--wait", "20s"]);
  await until("its paths have no zone", () =>
    client.get("/only/a").then(
      () => false,
      (error) => error.code === "NO_ZONE",
    ),
  );
  expect((await federation.apply(only)).code).toBe(0);
  await until("the data is back", async () => Buffer.from((await client.get("/only/a")).content).toString() === "kept");
});
