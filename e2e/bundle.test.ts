// What `npm run build` makes, run where no source and no installed package is in reach.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../images/bundle.ts";
import { checkout } from "./harness/run.ts";

const execute = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "nexus-bundle-"));

/** The bundle as a person runs it: by its own name, Node found by PATH. */
async function nexus(...args: string[]): Promise<string> {
  const env = {
    PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, "config"),
  };
  const program = join(folder, "dist/nexus.mjs");
  const { stdout } = await execute(program, ["--dir", join(folder, "f"), ...args], { cwd: folder, env });
  return stdout;
}

beforeAll(() => bundle(["box", "witness", "nexus"], { folder: join(folder, "dist") }).then(() => undefined));
afterAll(async () => {
  await nexus("down").catch(() => {});
  rmSync(folder, { recursive: true, force: true });
});

test("a federation with a witness starts from the bundles alone, and serves", async () => {
  await nexus("up", "-f", join(checkout, "examples/quickstart.yaml"), "--detach", "--wait", "90s");
  await nexus("put", "/docs/hello", join(checkout, "LICENSE"));

  expect(await nexus("get", "/docs/hello")).toContain("Apache License");
  expect(JSON.parse(await nexus("status", "--json"))).toMatchObject({ settled: true });
});
