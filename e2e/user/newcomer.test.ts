// What a newcomer met on a first day: sentences that misled, waits for nothing, and calls that should simply have worked.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { checkout, finish, isAlive, shell, spawnNexus, until } from "../harness/run.ts";
import { box, documents, zone } from "../harness/yaml.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  await federation.ok(["put", "/n/kept"], { input: "kept" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

const inShell = (script: string) =>
  shell(`nexus() { ./nexus --dir "${federation.dir}" "$@"; }\n${script}`, { env: federation.env });

test.each([
  { words: ["bench", "--duration", "0"], code: 2, says: "--duration: expected more than 0" },
  { words: ["bench", "--size", "99999999"], code: 2, says: "--size: expected a whole number from 0 to" },
  { words: ["ls", "/", "--timeout", "0"], code: 2, says: "--timeout: expected more than 0" },
  { words: ["put", "/n/x", "README.md", "--fence", "abc"], code: 2, says: "--fence: expected" },
  { words: ["get", "/n/kept", "-o", "/no/such/folder/x"], code: 1, says: "nexus: /no/such/folder: no such file" },
  { words: ["backup", "root", "/no/such/folder/x"], code: 1, says: "nexus: /no/such/folder: no such file or folder" },
  { words: ["put", "-r", "/n", "README.md"], code: 2, says: "README.md: put -r needs a local folder" },
  { words: ["switchover", "root", "witness-1"], code: 1, says: "its full voters are nexus-1, nexus-2" },
  { words: ["put", "/n/", "-"], code: 2, says: "a name" },
  { words: ["ls", "/no\u001b[2Jne"], code: 1, says: "/no\\u001b[2Jne" },
])("nexus $words ends with $code and says $says", async ({ words, code, says }) => {
  const ran = await federation.nexus(words);

  expect(ran.stderr).toContain(says);
  expect(ran.code).toBe(code);
});

test("a slash at the end means a folder, as in a shell", async () => {
  const ran = await inShell(`
    nexus put /n/dir/ LICENSE > /dev/null; nexus mkdir -p /n/other/ > /dev/null
    nexus cp /n/dir/LICENSE /n/other/ > /dev/null; nexus mv /n/other/LICENSE /n/moved > /dev/null
    nexus ls /n/dir/; nexus stat /n/other/ > /dev/null; nexus ls -r /n/`);

  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(ran.stdout).toContain("/n/dir/LICENSE");
  expect(ran.stdout).toContain("/n/moved");
});

test("a name with a line break stays in one line, whatever prints it", async () => {
  const ran = await inShell(`
    echo x | nexus put "$(printf '/odd/a\\nb')"; nexus ls -r /odd; nexus rm "$(printf '/odd/a\\nb')"`);

  const lines = ran.stdout.trim().split("\n");
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).toContain("/odd/a\\nb");
});

test("a batch and a declaration that come slowly through a pipe are waited for", async () => {
  const nexus1 = federation.file("nexus-1.yaml", box("nexus-1"));
  // What feeds the pipe is two calls slower than what reads it.
  const ran = await inShell(`
    slowly() { nexus ls / > /dev/null; nexus ls / > /dev/null; cat "$1"; }
    echo '{"op":"write","path":"/n/slow","content":"x"}' > "${federation.root}/batch"
    slowly "${federation.root}/batch" | nexus batch
    slowly "${nexus1}" | nexus apply -f -`);

  expect(ran, ran.stderr).toMatchObject({ code: 0, stderr: "" });
  expect(ran.stdout).toContain("1 operation applied");
  expect(ran.stdout).toContain("Box/nexus-1 applied");
});

test("files without an object are refused, and a delete of what nobody declared says so", async () => {
  const empty = federation.file("empty.yaml", "# nothing\n");
  const nobody = federation.file("nobody.yaml", box("nonesuch"));

  expect(await federation.nexus(["apply", "-f", empty])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("no object"),
  });
  const fresh = join(federation.root, "fresh");
  expect(await federation.nexus(["--dir", fresh, "up", "-f", empty])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("no object"),
  });
  expect(existsSync(fresh)).toBe(false);
  const ran = await federation.nexus(["delete", "-f", nobody]);
  expect(ran.stdout).not.toContain("retired");
  expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining("Box/nonesuch is not declared") });
});

describe("a zone whose rule is refused", () => {
  const team = zone("team", "/team/**", "mode: strong, authorityBox: nexus-2");

  test("is named by doctor, and forgotten with its reason when the zone is deleted", async () => {
    await federation.ok(["put", "/team/x"], { input: "x" });
    const file = federation.file("team.yaml", team);
    const refused = await federation.nexus(["apply", "-f", file]);
    const doctor = await federation.nexus(["doctor"]);
    const deleted = await federation.nexus(["delete", "-f", file]);

    expect(refused.code).toBe(1);
    expect(doctor).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/WRONG {2}ConsensusZone\/team: .*NOT_EMPTY/),
    });
    expect(deleted, deleted.stdout).toMatchObject({ code: 0 });
    await until("no problem is left", async () => (await federation.status()).problems.length === 0);
    await until("doctor finds nothing", async () => (await federation.nexus(["doctor"])).code === 0);
  });
});

test("a deleted box that only a retired zone's log keeps is nothing to wait for", async () => {
  const own = zone("own", "/own/**", "mode: strong, authorityBox: nexus-3, replicas: [nexus-1]");
  await federation.apply(documents(box("nexus-3"), own));
  await federation.ok(["put", "/own/x"], { input: "x" });
  const file = federation.file("own.yaml", documents(box("nexus-3"), own));

  const deleted = await federation.nexus(["delete", "-f", file], { timeoutMs: 90_000 });

  expect(deleted, deleted.stdout).toMatchObject({ code: 0 });
  expect((await federation.ok(["status"])).stdout).toContain("the log of the retired zone own");
  await federation.ok(["zone", "destroy", "own", "--confirm", "own"]);
  await until("the box goes", async () => !(await federation.status()).boxes.some(({ name }) => name === "nexus-3"));
});

test("a box that is deleted together with the zone that it alone holds goes, and rules can be changed afterwards", async () => {
  const alone = documents(box("nexus-4"), zone("alone", "/alone/**", "mode: strong, authorityBox: nexus-4"));
  expect(await federation.apply(alone)).toMatchObject({ code: 0 });
  await federation.ok(["put", "/alone/x"], { input: "x" });

  const deleted = await federation.nexus(["delete", "-f", federation.file("alone.yaml", alone)], { timeoutMs: 90_000 });

  expect(deleted, deleted.stdout).toMatchObject({ code: 0 });
  expect((await federation.status()).boxes.map(({ name }) => name)).not.toContain("nexus-4");
  const after = await federation.apply(zone("after", "/alone/**", "mode: strong, authorityBox: nexus-1"));
  expect(after, after.stdout).toMatchObject({ code: 0 });
});

test("a backup goes through a pipe into a restore", async () => {
  await federation.apply(zone("piped", "/piped/**", "mode: strong, authorityBox: nexus-1"));
  await federation.ok(["put", "/piped/x"], { input: "through" });
  const ran = await inShell("nexus backup piped - | nexus restore copied - --path '/copied/**'");

  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  await until("the copy serves", async () => (await federation.ok(["get", "/copied/x"])).stdout === "through");
});

test("a federation is stopped, and deleted, from elsewhere only when it is named", async () => {
  const cwd = join(federation.root, "elsewhere");
  mkdirSync(cwd);
  const stopped = await finish(spawnNexus(["down"], { cwd, env: federation.env }));
  const ran = await finish(spawnNexus(["down", "--delete-data"], { cwd, env: federation.env }));
  const up = await finish(spawnNexus(["up"], { cwd, env: federation.env }));

  expect(stopped).toMatchObject({ code: 2, stderr: expect.stringContaining("--dir or --context") });
  expect((await federation.status()).supervisor).toBeGreaterThan(0);
  expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining("--dir") });
  expect(up).toMatchObject({ code: 2, stderr: expect.stringContaining("give -f FILE") });
  expect(existsSync(federation.folder.desired)).toBe(true);
});

test("an up that is left before it is ready is ended by down, from its folder too", async () => {
  const cwd = join(federation.root, "hasty");
  mkdirSync(cwd);
  const call = (words: string[]) => finish(spawnNexus(words, { cwd, env: federation.env }));
  const up = await call(["up", "-f", join(checkout, "examples/strong.yaml"), "--detach", "--wait", "1ms"]);
  const pid = Number(/pid (\d+) goes on/.exec(up.stderr)?.[1]);
  const down = await call(["down"]);

  expect(up, up.stderr).toMatchObject({ code: 1 });
  expect(down, down.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining(join(cwd, ".nexus")) });
  await until("its supervisor is gone", () => !isAlive(pid));
});

test("a bench takes away what it made, and nothing else", async () => {
  await federation.ok(["put", "/bench-shared/mine"], { input: "kept" });
  for (const path of ["/bench-own", "/bench-shared"])
    await federation.ok(["bench", "--duration", "200ms", "--clients", "2", "--path", path]);
  const own = await federation.nexus(["ls", "/bench-own"]);
  const shared = await federation.ok(["ls", "/bench-shared"]);

  expect(own.stderr).toContain("NOT_FOUND");
  expect(shared.stdout).toMatch(/^\S+ +\S+ +\S+ +mine\n$/);
});

test("a federation whose folder is removed under it ends by itself", async () => {
  const own = await Federation.up({ example: "strong.yaml" });
  const { supervisor, boxes } = await own.status();
  rmSync(own.dir, { recursive: true, force: true });

  await until("nobody is left", () => ![supervisor, ...boxes.map(({ pid }) => pid)].some(isAlive));
  expect(existsSync(own.folder.run)).toBe(false);
  await own.down();
});
