import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { expect, test } from "vitest";
import { freshCheckout } from "./harness/fresh-checkout.ts";
import { checkout, finish, isAlive, shell, until } from "./harness/run.ts";

/** What the README tells its reader to paste. */
function blocks(): string[] {
  const readme = readFileSync(join(checkout, "README.md"), "utf8");
  return [...readme.matchAll(/<!-- tour: .*?-->\s*```sh\n(.*?)```/gs)].map((match) => match[1]!);
}

test("the README's tour runs word for word, and Ctrl-C then stops every process within five seconds", async () => {
  const [byCommand, byHttp, ...others] = blocks();
  expect(others).toEqual([]);
  const cwd = freshCheckout();
  const env = { ...process.env, XDG_CONFIG_HOME: join(cwd, "config") } as Record<string, string>;
  const up = spawn("./nexus", ["up", "-f", "examples/quickstart.yaml"], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = finish(up, { timeoutMs: 170_000 });
  try {
    const folder = new Folder(join(cwd, ".nexus/default"));
    const status = await until(
      "the federation is up",
      async () => {
        const seen = await callSupervisor(folder, { verb: "status" });
        return seen.settled && seen;
      },
      60_000,
    );

    const first = await shell(byCommand!, { cwd, env, timeoutMs: 90_000 });
    const second = await shell(byHttp!, { cwd, env, timeoutMs: 30_000 });

    expect(first, first.stderr).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^hello$/m);
    expect(first.stdout).toMatch(/2 copies, linearizable/);
    expect(second, second.stderr).toMatchObject({ code: 0 });
    expect(second.stdout).toMatch(/nexus-receipt: zone="root"/i);
    expect(second.stdout).toMatch(/\r\n\r\nhello\n/);

    const pids = status.boxes.map((box) => box.pid);
    up.kill("SIGINT");
    await ended;
    expect(pids.filter(isAlive)).toEqual([]);
  } finally {
    up.kill("SIGTERM");
    await ended;
    rmSync(cwd, { recursive: true, force: true });
  }
});
