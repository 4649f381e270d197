import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { until } from "./harness/run.ts";
import { box, documents, group, witness, zone } from "./harness/yaml.ts";

let federation: Federation | undefined;
afterEach(async () => {
  expect(await federation?.down()).toEqual([]);
  federation = undefined;
});

const wipe = (folder: string) => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
};

/** What a person writes into the group when these boxes are gone for good. */
async function recovery(zoneName: string, epoch: number, fromBox: string, lost: string[]): Promise<string> {
  const { uid, members } = await federation!.group(zoneName);
  const gone = members.filter((member) => lost.includes(member.box)).map((member) => `"${member.incarnation}"`);
  expect(gone).toHaveLength(lost.length);
  const consent = `epoch: ${epoch}, abandonedIncarnations: [${gone.join(", ")}], acceptDataLoss: true`;
  return `recovery: { fromBox: ${fromBox}, zone: ${zoneName}, groupUID: "${uid}", ${consent} }`;
}

async function recovered(groupYaml: (more: string) => string, fromBox: string, lost: string[]): Promise<void> {
  for (const [i, name] of ["system", "root"].entries()) {
    await federation!.apply(groupYaml(await recovery(name, i + 1, fromBox, lost)), 1_000);
    await until(
      `${name} goes on in a new generation`,
      async () => {
        const row = await federation!.group(name);
        if (row.generation === 2 && row.leader === fromBox) return true;
        const { faults, problems } = await federation!.status();
        throw new Error(JSON.stringify({ row, faults, problems }));
      },
      60_000,
    );
  }
}

/** At once: the survivor stands still meanwhile, or it would take the first one in again before the second is gone. */
async function lose(names: string[], survivor: string): Promise<void> {
  const pid = await federation!.freeze(survivor);
  for (const name of names) await federation!.damage(name, wipe);
  federation!.thaw(pid);
  await until("there is no leader", async () => (await federation!.group()).leader === "");
}

async function wholeAgain(zoneName: string, members: number): Promise<void> {
  const grown = async () => (await federation!.group(zoneName)).members.filter(({ role }) => role !== "learner").length;
  await until(`${zoneName} has its members again`, async () => (await grown()) === members, 90_000);
  await federation!.whole(zoneName, 90_000);
}

test("three boxes of which two lose their disks for good go on from the third, and are three again", async () => {
  const main = (more: string) =>
    group("main", ["n1", "n2", "n3"], `system: true, bootstrapBox: n1${more && `, ${more}`}`);
  const root = zone("root", "/**", "mode: strong_ha, raftGroup: main");
  federation = await Federation.up({ yaml: documents(box("n1"), box("n2"), box("n3"), main(""), root) });
  const client = federation.client();
  const first = await client.put("/first", "1", { minCopies: 3 });

  const early = await recovery("root", 1, "n1", ["n2", "n3"]);
  const refused = await federation.apply(main(early), 5_000);
  expect(refused.code).toBe(1);
  expect(refused.stdout + refused.stderr).toMatch(/n[23] answers with incarnation .*said to be gone/);
  expect((await federation.apply(main(""))).code).toBe(0);

  await lose(["n2", "n3"], "n1");
  await recovered(main, "n1", ["n2", "n3"]);

  const survivor = await federation.clientOf("n1");
  expect(Buffer.from((await survivor.get("/first")).content).toString()).toBe("1");
  await expect(survivor.get("/first", { after: first.receipt.token })).rejects.toMatchObject({
    code: "GENERATION_CHANGED",
  });
  for (const name of ["system", "root"]) await wholeAgain(name, 3);
  expect((await survivor.put("/second", "2", { minCopies: 3 })).receipt).toMatchObject({ generation: 2, copies: 3 });
  const { conditions } = await federation.status();
  expect(conditions["ConsensusZone/root"]?.find((one) => one.type === "DataLost")).toMatchObject({
    status: "True",
    message: expect.stringMatching(/went on from box n1 at entry \d+/),
  });
});

test("2+1 goes on when the other box and the witness lose their disks, and is 2+1 again", async () => {
  const main = (more: string) =>
    group("main", ["n1", "n2", "w1:Witness"], `system: true, bootstrapBox: n1${more && `, ${more}`}`);
  const root = zone("root", "/**", "mode: strong_ha, raftGroup: main");
  federation = await Federation.up({ yaml: documents(box("n1"), box("n2"), witness("w1"), main(""), root) });
  await federation.client().put("/first", "1", { minCopies: 2 });
  await lose(["n2", "w1"], "n1");

  await recovered(main, "n1", ["n2", "w1"]);

  await wholeAgain("root", 3);
  const client = federation.client();
  expect(Buffer.from((await client.get("/first")).content).toString()).toBe("1");
  expect((await client.put("/second", "2", { minCopies: 2 })).receipt).toMatchObject({ generation: 2, copies: 2 });
});
