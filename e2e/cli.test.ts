import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { finish, isAlive, shell, until } from "./harness/run.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

test("a put from stdin comes out of get as it was, and --json is one JSON value", async () => {
  const bytes = Buffer.from([0, 1, 2, 255, 10, 13]);
  const written = await federation.ok(["put", "/cli/bytes", "--json"], { input: bytes });
  const target = join(federation.root, "bytes");
  await federation.ok(["get", "/cli/bytes", "-o", target]);

  expect(JSON.parse(written.stdout)).toMatchObject({ file: { path: "/cli/bytes", size: 6 }, receipt: { copies: 2 } });
  expect(readFileSync(target)).toEqual(bytes);
});

test.each(["ls /cli", "stat /", "status", "raft members", "zone ls", "box ls", "context show", "context ls", "doctor"])(
  "nexus %s --json prints one JSON value",
  async (words) => {
    const ran = await federation.nexus([...words.split(" "), "--json"]);
    expect(() => JSON.parse(ran.stdout), ran.stderr).not.toThrow();
    expect(ran.code, ran.stderr).toBe(0);
  },
);

test.each([
  { words: ["get", "/cli/absent"], code: 1, says: "NOT_FOUND" },
  { words: ["get", "relative"], code: 1, says: "INVALID" },
  { words: ["get", "/a/../b"], code: 1, says: "INVALID" },
  { words: ["put", "/cli/x", "--if-match", "00".repeat(32)], code: 1, says: "PRECONDITION_FAILED" },
  { words: ["get", "/cli/bytes", "--unknown"], code: 2, says: "unknown option" },
  { words: ["nonsense"], code: 2, says: "unknown command" },
  { words: ["put", "/cli/x", "/no/such/file"], code: 2, says: "no such file" },
  { words: ["put", "/cli/x", "--if-match", "short"], code: 2, says: "--if-match" },
  { words: ["ls", "/cli", "--timeout", "soon"], code: 2, says: "duration" },
  { words: ["lock", "/cli/lock"], code: 2, says: "command" },
  { words: ["switchover", "nozone"], code: 1, says: "nozone" },
  { words: ["raft", "members", "nozone"], code: 1, says: "NOT_FOUND" },
  { words: ["box", "nonsense"], code: 2, says: "unknown command" },
  { words: ["apply", "-f", "/no/such.yaml"], code: 2, says: "no such file" },
  { words: ["mkdir", "/cli/no/parent"], code: 1, says: "mkdir -p" },
  { words: ["ls", "/cli/bytes"], code: 1, says: "nexus stat tells" },
  { words: ["put", "/cli/m", "--meta", "__proto__=x"], code: 1, says: '"__proto__" cannot be a key' },
  { words: ["logs", "nobody"], code: 1, says: "NOT_FOUND" },
])("nexus $words ends with $code and says $says", async ({ words, code, says }) => {
  const ran = await federation.nexus(words, { input: "x" });
  expect(ran.stderr).toContain(says);
  expect(ran.code).toBe(code);
});

test("get --json has the content in its object: text, or base64 for bytes that are none, and names -o for a large file", async () => {
  await federation.ok(["put", "/cli/text"], { input: "grüße\n" });
  await federation.ok(["put", "/cli/raw"], { input: Buffer.from([0, 255]) });
  await federation.ok(["put", "/cli/large"], { input: Buffer.alloc(4 * 1024 * 1024 + 1) });
  const text = await federation.ok(["get", "/cli/text", "--json"]);
  const raw = await federation.ok(["get", "/cli/raw", "--json"]);
  const large = await federation.nexus(["get", "/cli/large", "--json"]);

  expect(JSON.parse(text.stdout)).toMatchObject({ content: "grüße\n", file: { path: "/cli/text" }, receipt: {} });
  expect(JSON.parse(raw.stdout)).toMatchObject({ base64: "AP8=", file: { size: 2 } });
  expect(large.code).toBe(1);
  expect(JSON.parse(large.stdout)).toMatchObject({
    error: { code: "TOO_LARGE", message: expect.stringContaining("-o") },
  });
});

test.runIf(existsSync("/dev/full"))("output that finds no room is a failure, however short it is", async () => {
  for (const words of ["context ls", "context ls --json", "completion bash"]) {
    const ran = await shell(`./nexus ${words} > /dev/full`, { env: federation.env });
    expect(ran, words).toMatchObject({ code: 1, stderr: expect.stringContaining("ENOSPC") });
  }
});

test("a refusal with --json is an object with its code", async () => {
  const ran = await federation.nexus(["get", "/cli/absent", "--json"]);
  expect(JSON.parse(ran.stdout)).toMatchObject({ error: { code: "NOT_FOUND" } });
});

test("a faulty file is refused as a whole with file, line, field and reason", async () => {
  const file = federation.file(
    "bad.yaml",
    "apiVersion: federation.nexus.io/v1alpha1\nkind: ConsensusZone\nmetadata: { name: bad }\nspec:\n  pathPattern: /bad/**\n  mode: strng\n",
  );
  const before = await federation.status();
  const ran = await federation.nexus(["apply", "-f", file]);

  expect(ran.code).toBe(1);
  expect(ran.stderr).toMatch(/bad\.yaml:6.*mode/);
  expect((await federation.status()).zones).toEqual(before.zones);
});

test("a tree put recursively is the same when gotten recursively, and is removed recursively", async () => {
  const back = join(federation.root, "examples");
  await federation.ok(["put", "-r", "/cli/examples", "examples"]);
  await federation.ok(["get", "-r", "/cli/examples", "-o", back]);
  expect(readFileSync(join(back, "acme.yaml"))).toEqual(readFileSync("examples/acme.yaml"));

  expect((await federation.nexus(["rm", "/cli/examples"])).stderr).toContain("NOT_EMPTY");
  await federation.ok(["rm", "-r", "/cli/examples"]);
  expect((await federation.nexus(["stat", "/cli/examples"])).code).toBe(1);
});

test("lock runs its command under a fence, hands on its exit code, and the lock is free afterwards", async () => {
  const ran = await federation.nexus(["lock", "/cli/l", "--", "sh", "-c", "echo fence $NEXUS_FENCE; exit 7"]);
  expect(ran).toMatchObject({ code: 7, stdout: expect.stringMatching(/^fence [0-9]+\n$/) });
  expect((await federation.nexus(["lock", "/cli/l", "--", "true"])).code).toBe(0);
});

test("lock kills its command when the lock is lost, and ends with 75", async () => {
  const mark = join(federation.root, "mark");
  const script = `trap 'echo stopped > ${mark}.stopped; exit 0' TERM; echo run > ${mark}; while :; do sleep 0.1; done`;
  const holder = federation.spawn(["lock", "/cli/lost", "--ttl", "2s", "--", "sh", "-c", script]);
  const ended = finish(holder, { timeoutMs: 60_000 });
  await until("the command runs", () => existsSync(mark));
  holder.kill("SIGSTOP");
  const next = await federation.nexus(["lock", "/cli/lost", "--wait", "20s", "--", "true"], { timeoutMs: 40_000 });
  holder.kill("SIGCONT");

  expect(next, next.stderr).toMatchObject({ code: 0 });
  expect(await ended).toMatchObject({ code: 75, stderr: expect.stringContaining("is lost") });
  expect(readFileSync(`${mark}.stopped`, "utf8")).toBe("stopped\n");
});

test("watch prints what is written after it began", async () => {
  const watcher = federation.spawn(["watch", "/cli/watched", "--json"]);
  const ended = finish(watcher, { timeoutMs: 30_000 });
  let seen = "";
  watcher.stdout!.on("data", (part) => (seen += part));
  await until("the watch shows a write", async () => {
    await federation.ok(["put", "/cli/watched/a"], { input: "x" });
    return seen.includes("/cli/watched/a");
  });
  watcher.kill("SIGINT");
  await ended;
});

test("down leaves no process, up goes on with the data, and deleted data stays deleted", async () => {
  const { boxes, supervisor } = await federation.status();
  await federation.ok(["put", "/cli/kept"], { input: "kept" });
  const down = await federation.ok(["down"]);
  expect(down.stdout).toContain("data kept");
  await until("all processes are gone", () => ![supervisor, ...boxes.map((box) => box.pid)].some(isAlive), 6000);

  expect((await federation.nexus(["status"])).code).toBe(1);
  expect((await federation.start()).code).toBe(0);
  expect((await federation.ok(["get", "/cli/kept"])).stdout).toBe("kept");

  const deleted = await federation.ok(["down", "--delete-data"]);
  expect(deleted.stdout).toContain("deleted");
  await until("the folder is gone", () => !existsSync(federation.dir));
});

test("up in the foreground stops every process at Ctrl-C before it ends", async () => {
  const own = new Federation();
  const up = own.spawn(["up", "-f", "examples/quickstart.yaml"]);
  const ended = finish(up, { timeoutMs: 150_000 });
  let said = "";
  up.stdout!.on("data", (part) => (said += part));
  await until("it says that it is up", () => said.includes("serves at https://"), 120_000);
  const status = await own.status();
  const from = performance.now();
  up.kill("SIGINT");
  const ran = await ended;

  console.log(`Ctrl-C ended it in ${Math.round(performance.now() - from)} ms`);
  expect(status.boxes.map((box) => box.pid).filter(isAlive)).toEqual([]);
  expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("serves at https://") });
  expect(await own.down()).toEqual([]);
});
