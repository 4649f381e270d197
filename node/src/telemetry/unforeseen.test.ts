import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const here = (file: string) => new URL(file, import.meta.url).href;

function run(failure: string) {
  const script = `
    import { createLogger } from "${here("./log.ts")}";
    import { endOnUnforeseen } from "${here("./unforeseen.ts")}";
    endOnUnforeseen(createLogger({ level: "info", fields: { box: "a" } }));
    setInterval(() => {}, 1000);
    setTimeout(() => { ${failure} }, 1);`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", timeout: 20_000 });
}

test.each([
  ["an exception", 'throw new Error("boom")', "uncaughtException"],
  ["a rejection", 'Promise.reject(new Error("boom"))', "unhandledRejection"],
])("%s that nobody takes ends the process with a line", (_name, failure, origin) => {
  const { status, stdout } = run(failure);

  expect(status).toBe(1);
  expect(JSON.parse(stdout.trim())).toMatchObject({ level: "fatal", box: "a", reason: "boom", origin });
});
