// What someone meets who knows nothing yet and mistypes half of it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { finish, spawnNexus, until } from "./harness/run.ts";
import { zone } from "./harness/yaml.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

/** Context of this federation with something changed, under a name of its own. */
function changedContext(name: string, change: object): Record<string, string> {
  const config = join(federation.root, `config-${name}`);
  mkdirSync(join(config, "nexus"), { recursive: true });
  const contexts = { [name]: { ...federation.context(), dir: undefined, ...change } };
  writeFileSync(join(config, "nexus/contexts.json"), JSON.stringify({ contexts }));
  return { XDG_CONFIG_HOME: config };
}

test("right after up every box serves what is asked of it", async () => {
  for (const box of ["nexus-1", "nexus-2"]) {
    const client = await federation.clientOf(box);
    const { receipt } = await client.put(`/at-once/${box}`, "x");
    expect((await client.get(`/at-once/${box}`, { after: receipt.token })).receipt.zone).toBe("root");
  }
});

test("a name that does not exist is shown in the file, and does not fail a later apply of something else", async () => {
  const typo = await federation.apply(zone("typo", "/typo/**", "mode: strong_ha, raftGroup: mian"));
  const other = await federation.apply(zone("fine", "/fine/**", "mode: strong_ha, raftGroup: main"));

  expect(typo.stdout).toMatch(
    /apply\.yaml:4: spec\.raftGroup: ConsensusZone\/typo: GroupMissing: .*did you mean main\?/,
  );
  expect(typo.code).toBe(1);
  expect(other, other.stderr).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("ConsensusZone/typo is stalled as before"),
  });
  expect((await federation.status()).faults).toMatchObject([{ object: "ConsensusZone/typo" }]);
});

test("a second system group does not stop the federation", async () => {
  const ran = await federation.nexus(["apply", "-f", "examples/mount.yaml"], { timeoutMs: 90_000 });
  const { faults } = await federation.status();

  expect(ran.code).toBe(1);
  expect(faults.map((fault) => fault.object).sort()).toEqual([
    "ConsensusZone/typo",
    "Mount/models-for-agents",
    "RaftGroup/system",
  ]);
  await federation.ok(["put", "/models/a"], { input: "served all the same" });
});

test.each([
  { words: ["stauts", "--help"], code: 2, says: "Did you mean status?" },
  { words: ["raft", "members", "nowhere"], code: 1, says: "nexus zone ls" },
  { words: ["put", "/s/x", "docs"], code: 2, says: "docs is a folder; put -r" },
  { words: ["put", "-r", "/s/x", "docs", "--if-match", "00".repeat(32)], code: 2, says: "of one file" },
  { words: ["ls", "/", "--timeout", "99999999h"], code: 2, says: "at most 596h" },
  { words: ["backup", "root", "/no/such/folder/x"], code: 1, says: "no such file or folder" },
  { words: ["lock", "/s/l", "--semaphore", "0", "--", "true"], code: 2, says: "from 1 on" },
])("nexus $words ends with $code and says $says", async ({ words, code, says }) => {
  const ran = await federation.nexus(words);

  expect(ran.stderr).toContain(says);
  expect(ran.stderr).not.toContain("    at ");
  expect(ran.code).toBe(code);
});

test("a bare number is seconds, for every duration", async () => {
  expect((await federation.nexus(["ls", "/", "--timeout", "30"])).code).toBe(0);
  expect((await federation.nexus(["lock", "/s/l", "--ttl", "30", "--wait", "30", "--", "true"])).code).toBe(0);
});

describe("a wrong context", () => {
  test.each([
    { name: "federation", change: { federation: "another" }, says: "no box of federation another" },
    { name: "token", change: { token: "nonsense" }, says: "token is not known" },
  ])("of another $name is refused at once", async ({ name, change, says }) => {
    const env = changedContext(name, change);
    const child = spawnNexus(["--context", name, "get", "/x", "--timeout", "60"], { env });
    const ran = await finish(child);

    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(says);
    expect(ran.tookMs).toBeLessThan(30_000);
  });
});

test("a tree with odd names, empty folders and links comes back as it was; what is no file is named", async () => {
  const from = join(federation.root, "tree");
  mkdirSync(join(from, "deep/empty"), { recursive: true });
  writeFileSync(join(from, "ünï cøde 文件.txt"), "x");
  for (let i = 0; i < 20; i++) writeFileSync(join(from, `deep/${i}`), Buffer.alloc(i * 5000, i));
  const back = join(federation.root, "back");

  const put = await federation.ok(["put", "-r", "/s/tree", from]);
  await federation.ok(["get", "-r", "/s/tree", "-o", back]);

  expect(put.stdout).toContain("21 files written");
  expect(readFileSync(join(back, "deep/19"))).toEqual(Buffer.alloc(19 * 5000, 19));
  expect(readFileSync(join(back, "ünï cøde 文件.txt"), "utf8")).toBe("x");
  expect(existsSync(join(back, "deep/empty"))).toBe(true);
});

test("up beside up says who runs it; a refused up leaves nothing behind; doctor tells a stopped federation", async () => {
  const { supervisor } = await federation.status();
  const second = await federation.nexus(["up", "--detach"]);
  const fresh = join(federation.root, "fresh");
  const bad = federation.file("bad.yaml", "kind: Nonsense\n");
  const refused = await federation.nexus(["--dir", fresh, "up", "-f", bad]);
  await federation.ok(["down"]);
  const doctor = await federation.nexus(["doctor"]);
  const get = await federation.nexus(["get", "/x"]);

  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(`run by pid ${supervisor}`) });
  expect(second.stderr).toContain("nexus down");
  expect(refused.code).toBe(1);
  expect(existsSync(fresh)).toBe(false);
  expect(doctor).toMatchObject({ code: 1, stdout: expect.stringContaining("start it with nexus up --dir") });
  expect(get).toMatchObject({ code: 1, stderr: expect.stringContaining("no federation is up") });
});

test("Ctrl-C while it starts ends it and everything it started", async () => {
  const own = new Federation();
  const up = own.spawn(["up", "-f", "examples/quickstart.yaml"]);
  const ended = finish(up, { timeoutMs: 60_000 });
  await until("a box runs", async () => (await own.status()).boxes.some((box) => box.pid > 0));
  await own.status();
  up.kill("SIGINT");

  // Not killed because its time was over.
  expect((await ended).code).not.toBe(-1);
  expect(await own.down()).toEqual([]);
});
