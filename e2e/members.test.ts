import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { until } from "./harness/run.ts";
import { Workload } from "./harness/workload.ts";
import { box, documents, group, systemGroup, witness, zone } from "./harness/yaml.ts";

let federation: Federation | undefined;
let load: Workload | undefined;
afterEach(async () => {
  await load?.stop();
  load = undefined;
  expect(await federation?.down()).toEqual([]);
  federation = undefined;
});

const names = (members: { box: string; role: string }[]) =>
  members.map((member) => `${member.box} ${member.role}`).sort();

/** Applies, and waits until the zone's members are these and whole. */
async function membersBecome(yaml: string, wanted: string[]): Promise<void> {
  const ran = await federation!.apply(yaml);
  expect(ran.code, `${ran.stderr}${ran.stdout}`).toBe(0);
  await until(`members are ${wanted.join(", ")}`, async () => {
    const { members, joint } = await federation!.group();
    return !joint && names(members).join() === [...wanted].sort().join();
  });
  await federation!.whole();
}

async function loadEnds(longestGapMs: number): Promise<void> {
  const from = load!.acknowledged[0]!.atMs;
  const to = performance.now();
  await load!.stop();
  console.log(
    `membership under load: ${load!.acknowledged.length} writes, longest gap ${load!.longestGap(from, to).toFixed(0)} ms`,
  );
  expect(load!.longestGap(from, to)).toBeLessThan(longestGapMs);
  expect([...load!.refused.counts.keys()].filter((code) => code !== "PRECONDITION_FAILED")).toEqual([]);
  expect(load!.wrongRegisters()).toEqual([]);
  expect(await load!.missing()).toEqual([]);
}

test("a zone grows from 1 to 2+1 to 3 members and shrinks again by apply, under load, and no write is refused", async () => {
  const boxes = [box("n1"), box("n2"), box("n3"), witness("w1")];
  const start = documents(
    ...boxes,
    systemGroup("sys", ["n1"]),
    group("main", ["n1"]),
    zone("root", "/**", "mode: strong_ha, raftGroup: main"),
  );
  federation = await Federation.up({ yaml: start });
  load = new Workload(federation.client()).start();

  await membersBecome(group("main", ["n1", "n2:Learner"]), ["n1 voter", "n2 learner"]);
  await membersBecome(group("main", ["n1", "n2", "w1:Witness"]), ["n1 voter", "n2 voter", "w1 witness"]);
  await membersBecome(group("main", ["n1", "n2", "n3"]), ["n1 voter", "n2 voter", "n3 voter"]);
  await membersBecome(group("main", ["n2", "n3", "w1:Witness"]), ["n2 voter", "n3 voter", "w1 witness"]);
  await membersBecome(group("main", ["n3"]), ["n3 voter"]);
  await loadEnds(10_000);
});

test("a member of 2+1 is replaced by another box by apply, under load", async () => {
  const start = documents(
    ...[box("n1"), box("n2"), box("n3"), witness("w1")],
    systemGroup("main", ["n1", "n2", "w1:Witness"]),
    zone("root", "/**", "mode: strong_ha, raftGroup: main"),
  );
  federation = await Federation.up({ yaml: start });
  load = new Workload(federation.client()).start();
  await membersBecome(systemGroup("main", ["n1", "n3", "w1:Witness"], "n1"), ["n1 voter", "n3 voter", "w1 witness"]);
  await until(
    "the system log follows",
    async () => names((await federation!.group("system")).members).join() === "n1 voter,n3 voter,w1 witness",
  );
  await loadEnds(10_000);
});

test("a wiped member is refused under its old identity, and is a full copy again under a new one", async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  const client = federation.client();
  for (let i = 0; i < 50; i++) await client.put(`/wiped/${i}`, `${i}`, { minCopies: 2 });
  const leader = await federation.leader();
  const other = leader === "nexus-1" ? "nexus-2" : "nexus-1";
  const before = await federation.box(other);
  await federation.damage(other, (folder) => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  });

  const wiped = await until("it says that it is another", async () => {
    const now = await federation!.box(other);
    return now.incarnation !== "" && now.incarnation !== before.incarnation && now;
  });
  expect(wiped.pid).not.toBe(before.pid);
  await client.put("/wiped/meanwhile", "x");
  await federation.whole("root", 90_000);
  await client.put("/wiped/after", "x", { minCopies: 2 });
  const pid = await federation.kill(leader);
  for (let i = 0; i < 50; i++) expect(Buffer.from((await client.get(`/wiped/${i}`)).content).toString()).toBe(`${i}`);
  await federation.restarted(leader, pid);
});

test("strong to strong_ha and back by apply under load refuses no write for longer than one election", async () => {
  const boxes = [box("n1"), box("n2"), witness("w1")];
  const groups = [systemGroup("sys", ["n1"]), group("pair", ["n1", "n2", "w1:Witness"])];
  const strong = zone("root", "/**", "mode: strong, authorityBox: n1");
  const strongHa = zone("root", "/**", "mode: strong_ha, raftGroup: pair");
  federation = await Federation.up({ yaml: documents(...boxes, ...groups, strong) });
  load = new Workload(federation.client()).start();
  const modeBecomes = async (yaml: string, mode: string) => {
    const ran = await federation!.apply(yaml);
    expect(ran.code, `${ran.stderr}${ran.stdout}`).toBe(0);
    await until(
      `the mode is ${mode}`,
      async () => (await federation!.status()).zones.find((one) => one.name === "root")?.mode === mode,
    );
  };
  await modeBecomes(strongHa, "strong_ha");
  await federation.whole();
  expect((await federation.client().put("/mode/ha", "x", { minCopies: 2 })).receipt).toMatchObject({
    mode: "strong_ha",
    copies: 2,
  });
  await modeBecomes(strong, "strong");
  expect((await federation.client().put("/mode/one", "x")).receipt).toMatchObject({ mode: "strong", degraded: false });
  await modeBecomes(strongHa, "strong_ha");
  await loadEnds(5000);
});
