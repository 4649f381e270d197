// `nexus doctor` in what goes wrong on one machine: it ends with 1, names what is wrong, and says what to do.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { type Ran, shell, until } from "../harness/run.ts";
import { box, zone } from "../harness/yaml.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  await federation.client().put("/team/x", "x");
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

const doctor = () => federation.nexus(["doctor"]);
/** Until doctor says what is expected of it; what it said last otherwise. */
async function says(what: RegExp, code: number): Promise<Ran> {
  let ran = await doctor();
  await until(
    `doctor says ${what}`,
    async () => {
      ran = await doctor();
      return what.test(ran.stdout) && ran.code === code;
    },
    60_000,
  ).catch(() => {});
  expect(ran.stdout).toMatch(what);
  expect(ran.code).toBe(code);
  expect(ran.stderr).toBe("");
  return ran;
}
const well = () => says(/boxes answer(?![\s\S]*WRONG)/, 0);

test("a witness that ended, a box that hangs and a log on one copy are named, and well is said again afterwards", async () => {
  await well();
  await federation.kill("witness-1");
  await says(/note {3}witness-1 ended and was started again 1 time/, 0);

  const pid = await federation.freeze("nexus-2");
  await says(/WRONG {2}(box at|nexus-2).* does not answer/, 1);
  await federation.client().put("/alone", "x", { timeoutMs: 30_000 });
  await says(/zone root runs on one copy \(SOLO\)/, 1);
  federation.thaw(pid);
  await federation.whole();
  await well();
});

test("a witness that hangs is noticed by status and doctor, and well is said again once it goes on", async () => {
  const pid = await federation.freeze("witness-1");
  await says(/WRONG {2}witness-1 does not serve: does not answer: no handshake/, 1);
  expect((await federation.ok(["status"])).stdout).toMatch(/witness-1 +Witness +\S+ +no answer/);

  federation.thaw(pid);
  await well();
  expect((await federation.box("witness-1")).state).toBe("running");
});

test("a rule that is refused and a name that does not exist are named with the object", async () => {
  await federation.apply(zone("team", "/team/**", "mode: strong, authorityBox: nexus-1"));
  await federation.apply(zone("lost", "/lost/**", "mode: strong, authorityBox: nexus-7"));

  const ran = await says(/ConsensusZone\/team: RuleRefused: [\s\S]*-> /, 1);
  expect(ran.stdout).toMatch(/WRONG {2}ConsensusZone\/lost: BoxMissing: There is no Box nexus-7/);

  for (const name of ["team", "lost"])
    await federation.ok([
      "delete",
      "-f",
      federation.file("gone.yaml", zone(name, `/${name}/**`, "mode: strong, authorityBox: nexus-1")),
    ]);
  await well();
});

test("a drained box is noted, and is no fault", async () => {
  const drained = box("nexus-2").replace(
    "name: nexus-2",
    'name: nexus-2, annotations: { federation.nexus.io/drain: "true" }',
  );
  await federation.apply(drained);
  await says(/note {3}nexus-2 is draining/, 0);
  await federation.apply(box("nexus-2"));
  await well();
});

test("a wrong token, a damaged authority and a context that nobody knows are told apart", async () => {
  const context = JSON.parse(readFileSync(federation.folder.context, "utf8"));
  const of = (change: object) => {
    const config = join(federation.root, "changed");
    mkdirSync(join(config, "nexus"), { recursive: true });
    const contexts = { current: "it", contexts: { it: { ...context, ...change } } };
    writeFileSync(join(config, "nexus/contexts.json"), JSON.stringify(contexts));
    const env = { XDG_CONFIG_HOME: config, NEXUS_CONTEXT: "" };
    return shell(`cd / && "${process.cwd()}/nexus" doctor`, { env });
  };
  const { env } = federation;

  expect(await of({})).toMatchObject({ code: 0 });
  expect(await of({ token: "nonsense" })).toMatchObject({ code: 1, stdout: expect.stringMatching(/WRONG .*token/) });
  const damaged = await of({ ca: "nonsense" });
  expect(damaged).toMatchObject({ code: 1, stdout: expect.stringContaining("the ca of the context is no") });
  const silent = await of({ endpoints: ["127.0.0.1:1"], dir: undefined });
  expect(silent).toMatchObject({ code: 1, stdout: expect.stringMatching(/does not answer[\s\S]*check the endpoints/) });
  const unknown = await shell("./nexus doctor --context nobody", { env });
  expect(unknown).toMatchObject({ code: 1, stdout: expect.stringMatching(/context nobody[\s\S]*nexus context ls/) });
  await well();
});

test("a federation that is not up, a port that was taken meanwhile, and a folder that is gone are named", async () => {
  const { boxes } = await federation.status();
  const port = Number(
    boxes
      .find((one) => one.http !== "")
      ?.http.split(":")
      .at(-1),
  );
  await federation.ok(["down"]);
  const thief = createServer();
  await new Promise<void>((done) => thief.listen(port, "127.0.0.1", done));
  const taken = await doctor();
  await new Promise((done) => thief.close(done));
  const free = await doctor();
  renameSync(federation.dir, `${federation.dir}.aside`);
  const gone = await doctor();
  const elsewhere = await shell(`cd / && "${process.cwd()}/nexus" doctor`, { env: federation.env });
  renameSync(`${federation.dir}.aside`, federation.dir);

  expect(taken).toMatchObject({ code: 1, stdout: expect.stringContaining(`has taken port ${port}`) });
  expect(taken.stdout).toContain("end what listens there");
  expect(free).toMatchObject({ code: 1, stdout: expect.stringContaining("start it with nexus up") });
  expect(gone).toMatchObject({ code: 1, stdout: expect.stringContaining("holds no federation") });
  expect(elsewhere).toMatchObject({ code: 1, stdout: expect.stringMatching(/its folder .* is gone/) });
});

test("a machine without a federation is told what to do first", async () => {
  const config = join(federation.root, "none");
  const ran = await shell(`cd / && "${process.cwd()}/nexus" doctor`, {
    env: { XDG_CONFIG_HOME: config, NEXUS_CONTEXT: "" },
  });
  rmSync(config, { recursive: true, force: true });

  expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("run `nexus up -f FILE`") });
});
