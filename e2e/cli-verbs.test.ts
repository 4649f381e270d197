// What the command line says and prints beyond e2e/cli.test.ts: every verb over one federation that is started once.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Federation } from "./harness/federation.ts";
import { finish, shell, until } from "./harness/run.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

const json = (text: string) => JSON.parse(text);
/** `nexus …` of this federation inside of a shell script. */
const inShell = (script: string) =>
  shell(`nexus() { ./nexus --dir "${federation.dir}" "$@"; }\n${script}`, { env: federation.env });

describe("options", () => {
  test("count before the verb as well as after it", async () => {
    await federation.ok(["put", "/v/opt"], { input: "x" });
    const before = await federation.ok(["--json", "--timeout", "5s", "stat", "/v/opt"]);
    const after = await federation.ok(["stat", "/v/opt", "--timeout", "5s", "--json"]);

    expect(json(before.stdout).file).toEqual(json(after.stdout).file);
  });

  test.each([
    { words: ["get", "/v/absent"], code: 1, error: "NOT_FOUND" },
    { words: ["get", "/v/opt", "--unknown"], code: 2, error: "USAGE" },
    { words: ["nonsense"], code: 2, error: "USAGE" },
    { words: ["put", "/v/x", "/no/such/file"], code: 2, error: "USAGE" },
    { words: ["batch", "/no/such/file"], code: 2, error: "USAGE" },
    { words: ["get"], code: 2, error: "USAGE" },
    { words: ["get", "/v/opt", "-o", "/no/such/folder/x"], code: 1, error: "INTERNAL" },
    { words: ["context", "use", "nobody"], code: 1, error: "NOT_FOUND" },
  ])("nexus $words --json ends with $code and $error as JSON", async ({ words, code, error }) => {
    const ran = await federation.nexus([...words, "--json"], { input: "x" });
    expect(ran.code).toBe(code);
    expect(json(ran.stdout)).toMatchObject({ error: { code: error, message: expect.any(String) } });
    expect(ran.stderr).not.toContain("    at ");
  });

  test("--help of every verb ends with 0 and names its options", async () => {
    const ran = await inShell("nexus --help; nexus put --help; nexus context use --help");
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain("--if-none-match");
  });
});

describe("files", () => {
  test("stdin and stdout work in pipes, and a reader that leaves is no fault", async () => {
    const ran = await inShell(`
      for i in 1 2 3 4 5; do echo "$i" | nexus put /v/pipe/$i > /dev/null; done
      nexus get /v/pipe/3 | tr 3 x
      nexus ls -r /v/pipe | head -1 > /dev/null
      head -c 3000000 /dev/zero | nexus put /v/pipe/big - > /dev/null
      nexus get /v/pipe/big | head -c 10 | wc -c`);
    expect(ran.stderr).toBe("");
    expect(ran.stdout.split("\n").map((line) => line.trim())).toEqual(["x", "10", ""]);
  });

  test("a file that cannot be had whole leaves nothing behind", async () => {
    const target = join(federation.root, "partial");
    const ran = await federation.nexus(["get", "/v/none", "-o", target]);

    expect(ran.code).toBe(1);
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(federation.root).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  test("metadata, content type and conditions go with a put", async () => {
    await federation.ok(["put", "/v/m", "--content-type", "text/x", "--meta", "a=1", "b=2"], { input: "m" });
    const { file } = json((await federation.ok(["stat", "/v/m", "--json"])).stdout);
    const second = await federation.nexus(["put", "/v/m", "--if-none-match"], { input: "n" });
    const third = await federation.nexus(["put", "/v/m", "--if-match", file.etag], { input: "n" });

    expect(file).toMatchObject({ contentType: "text/x", metadata: { a: "1", b: "2" } });
    expect([second.code, third.code]).toEqual([1, 0]);
  });

  test("a batch from stdin is made whole, a faulty one not at all", async () => {
    const good = [
      { op: "mkdir", path: "/v/b", parents: true },
      { op: "write", path: "/v/b/1", content: "one" },
      { op: "copy", from: "/v/b/1", to: "/v/b/2" },
      { op: "delete", path: "/v/b/1" },
    ];
    const ran = await federation.ok(["batch", "--json"], { input: JSON.stringify(good) });
    const bad = await federation.nexus(["batch"], {
      input: JSON.stringify([
        { op: "write", path: "/v/b/3" },
        { op: "delete", path: "/v/no" },
      ]),
    });
    const broken = await federation.nexus(["batch"], { input: "{" });

    expect(json(ran.stdout).results).toHaveLength(4);
    expect((await federation.ok(["get", "/v/b/2"])).stdout).toBe("one");
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringContaining("NOT_FOUND") });
    expect((await federation.nexus(["stat", "/v/b/3"])).code).toBe(1);
    expect(broken.code).toBe(2);
  });

  test("mv, cp, mkdir and rm change the tree", async () => {
    const ran = await inShell(`
      nexus mkdir -p /v/t/deep; echo a | nexus put /v/t/a; nexus cp /v/t/a /v/t/b; nexus mv /v/t/b /v/t/deep/c
      nexus rm /v/t/a; nexus ls -r /v/t --json`);
    expect(json(ran.stdout.trim().split("\n").at(-1)!).entries.map((one: { path: string }) => one.path)).toContain(
      "/v/t/deep/c",
    );
    expect((await federation.nexus(["mv", "/v/t/deep/c", "/v/m"])).stderr).toContain("ALREADY_EXISTS");
    await federation.ok(["mv", "-f", "/v/t/deep/c", "/v/m"]);
  });
});

describe("locks and watches", () => {
  test("a command under a lock writes with its fence by itself, and not after the lock is gone", async () => {
    const ran = await inShell(`
      nexus lock /v/lock -- sh -c 'echo under | ./nexus --dir "${federation.dir}" put /v/guarded >/dev/null; echo $NEXUS_FENCE $NEXUS_LOCK_PATH'`);
    const [fence, path] = ran.stdout.trim().split(" ");
    const late = await federation.nexus(["put", "/v/guarded", "--fence", fence!, "--lock-path", path!], {
      input: "late",
    });

    expect(path).toBe("/v/lock");
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining("FENCED") });
    expect((await federation.ok(["get", "/v/guarded"])).stdout).toBe("under\n");
  });

  test("a semaphore runs as many commands as it has slots", async () => {
    const mark = join(federation.root, "sem");
    const holders = [1, 2].map((n) =>
      federation.spawn([
        "lock",
        "/v/sem",
        "--semaphore",
        "2",
        "--owner",
        `job-${n}`,
        "--",
        "sh",
        "-c",
        `touch ${mark}.${n}; sleep 30; true`,
      ]),
    );
    const ended = holders.map((holder) => finish(holder, { timeoutMs: 40_000 }));
    await until("both run", () => [1, 2].every((n) => existsSync(`${mark}.${n}`)));
    const third = await federation.nexus(["lock", "/v/sem", "--semaphore", "2", "--", "true"]);
    const shown = await federation.ok(["lock", "/v/sem", "--show"]);
    for (const holder of holders) holder.kill("SIGTERM");
    await Promise.all(ended);

    expect(third.stderr).toMatch(/"\/v\/sem" is held by job-[12], job-[12] \(2 of 2\)/);
    expect(shown.stdout).toMatch(
      /semaphore of 2, held by job-[12] \(fence \d+\), job-[12] \(fence \d+\); 0 in the queue/,
    );
    expect((await federation.ok(["lock", "/v/none", "--show"])).stdout).toBe("/v/none: nobody holds it\n");
    expect(third).toMatchObject({ code: 1, stderr: expect.stringContaining("LOCKED") });
  });

  test("a watch resumes behind a token", async () => {
    const watcher = federation.spawn(["watch", "/v/w", "--json"]);
    const ended = finish(watcher, { timeoutMs: 30_000 });
    let seen = "";
    watcher.stdout!.on("data", (part) => (seen += part));
    await until("the watch shows a write", async () => {
      await federation.ok(["put", "/v/w/1"], { input: "x" });
      return seen.includes("/v/w/1");
    });
    watcher.kill("SIGINT");
    const { token } = json((await ended).stdout.trim().split("\n").at(-1)!);
    await federation.ok(["put", "/v/w/2"], { input: "x" });
    const again = federation.spawn(["watch", "/v/w", "--after", token]);
    const over = finish(again, { timeoutMs: 30_000 });
    let more = "";
    again.stdout!.on("data", (part) => (more += part));
    await until("the missed write shows", () => more.includes("/v/w/2"));
    again.kill("SIGINT");
    await over;
  });
});

describe("for operators", () => {
  test("members, zones and boxes are shown, and leadership is handed over", async () => {
    const members = json((await federation.ok(["raft", "members", "root", "--json"])).stdout);
    const other = members[0].leader === "nexus-1" ? "nexus-2" : "nexus-1";
    await federation.ok(["switchover", "root", other]);

    await until("the other leads", async () => (await federation.group()).leader === other);
    expect(members[0].members).toHaveLength(3);
    expect((await federation.ok(["zone", "ls"])).stdout).toMatch(/root\s+\/\*\*\s+strong_ha/);
    expect((await federation.ok(["box", "ls"])).stdout).toContain("witness-1");
    expect((await federation.nexus(["switchover", "root", "witness-1"])).code).toBe(1);
    expect((await federation.nexus(["zone", "destroy", "root", "--confirm", "other"])).code).toBe(2);
    expect((await federation.nexus(["zone", "destroy", "root", "--confirm", "root"])).stderr).toContain("ZONE_IN_USE");
  });

  test("a zone is backed up into one file and restored as a zone of the same content", async () => {
    const file = join(federation.root, "root.backup");
    const backup = json((await federation.ok(["backup", "root", file, "--json"])).stdout);
    const restored = json((await federation.ok(["restore", "again", file, "--json"])).stdout);

    expect(restored).toMatchObject({ digest: backup.digest, path: "/again/**" });
    expect((await federation.ok(["get", "/again/v/opt"])).stdout).toBe("x");
    expect((await federation.nexus(["restore", "other", file, "--path", "/**"])).stderr).toContain("INVALID");
    expect((await federation.nexus(["backup", "root", file])).code).toBe(2);
    expect((await federation.nexus(["restore", "x", "/no/such"])).code).toBe(2);
    const damaged = join(federation.root, "damaged");
    writeFileSync(damaged, readFileSync(file).subarray(0, -5));
    expect((await federation.nexus(["restore", "third", damaged])).stderr).toContain("CORRUPT");
  });

  test("doctor ends with 0 while all is well and names what is not", async () => {
    await federation.whole();
    const well = await federation.nexus(["doctor"]);
    const nowhere = await shell("./nexus doctor --dir /no/such", { env: federation.env });

    expect(well, well.stdout).toMatchObject({ code: 0, stdout: expect.stringContaining("boxes answer") });
    expect(nowhere.stdout).toContain("no federation was checked");
  });

  test("the contexts file knows the federation, and its name is enough to reach it", async () => {
    const listed = json((await federation.ok(["context", "ls", "--json"])).stdout);
    const [{ name }] = listed;
    const used = await shell(
      `cd /; "${process.cwd()}/nexus" context use ${name}; "${process.cwd()}/nexus" get /v/opt`,
      { env: federation.env },
    );

    expect(used, used.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/x$/) });
  });
});

describe("completion", () => {
  test.each(["bash", "zsh", "fish"])("the script of %s names the verbs and is sound to its shell", async (name) => {
    const { stdout } = await federation.ok(["completion", name]);
    mkdirSync(federation.root, { recursive: true });
    const file = federation.file(`completion.${name}`, stdout);
    const there = (await shell(`command -v ${name} || true`)).stdout.trim() !== "";

    for (const verb of ["put", "switchover", "completion", "doctor"]) expect(stdout).toContain(verb);
    if (!there) return console.warn(`${name} is not installed here: its completion was not parsed`);
    expect(await shell(`${name} -n ${file}`)).toMatchObject({ code: 0, stderr: "" });
  });

  test("bash completes verbs and what is below them", async () => {
    const file = federation.file("c.bash", (await federation.ok(["completion", "bash"])).stdout);
    const ask = (words: string) =>
      shell(
        `bash -c '. ${file}; COMP_WORDS=(${words}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _nexus; echo "\${COMPREPLY[@]}"'`,
      );

    expect((await ask("nexus swi")).stdout.trim()).toBe("switchover");
    expect((await ask('nexus context ""')).stdout.trim().split(" ")).toEqual(
      expect.arrayContaining(["ls", "use", "show"]),
    );
    expect((await federation.nexus(["completion", "tcsh"])).code).toBe(2);
  });
});
