// `npm run faults`: see `-- --help`.
import { mkdirSync, rmSync } from "node:fs";
import { loadavg } from "node:os";
import { join, resolve } from "node:path";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { seededRandom } from "@nexus-federation/node/base/seeded-random.ts";
import { readFlags } from "../../test/flags.ts";
import { checkout, interruptWaitsOn } from "../harness/run.ts";
import { type Result, Results } from "./results.ts";
import type { Finding, Run, Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios/all.ts";

const { flags } = readFlags({
  command: "npm run faults --",
  about:
    "Federations of real processes under faults; every history is judged by two checkers. About two hours in all. Root is\n" +
    "needed for networks and disks of their own; without it partitions are made by TCP proxies, and what cannot be had is\n" +
    "skipped and says why. Ctrl-C ends it and removes what it made.",
  flags: {
    only: { about: "scenarios whose names begin so (below); else all", value: "NAME,..." },
    kills: { about: "leaders struck, and switchovers made, by each scenario that counts them", count: 100 },
    minutes: { about: "length of each scenario that is bounded by time; the soak asks for 10 or more", count: 2 },
    seed: { about: "choices of the scenarios", count: 1 },
    out: {
      about: "results.jsonl and the histories; what passed there with the same settings is not run again",
      value: "FOLDER",
      default: ".nexus-faults",
    },
    proxies: { about: "cuts with TCP proxies, as without root, instead of network namespaces" },
    again: { about: "runs it again" },
    json: { about: "the results as JSON lines on stdout" },
  },
  more: scenarios.map(({ name, about }) => `  ${name.padEnd(26)}${about}`).join("\n"),
});

const { kills, minutes, seed, proxies } = flags;
// Left out when it is not said: results of former runs count on.
const settings = { kills, minutes, seed, ...(proxies ? { proxies } : {}) };
const prefixes = flags.only?.split(",");
const chosen = scenarios.filter(({ name }) => !prefixes || prefixes.some((prefix) => name.startsWith(prefix)));
if (chosen.length === 0) fail(`no scenario's name begins with ${flags.only}; see --help`);
const out = resolve(checkout, flags.out);
mkdirSync(out, { recursive: true });
const results = new Results(join(out, "results.jsonl"));
const stopping = new AbortController();
interruptWaitsOn(stopping.signal);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(signal));

let failed = 0;
for (const [i, scenario] of chosen.entries()) {
  if (stopping.signal.aborted) break;
  const before = flags.again ? undefined : results.passed(scenario.name, settings);
  const heading = `[${i + 1}/${chosen.length}] ${scenario.name}`;
  const result = before ?? (await runOne(scenario, heading));
  if (result === undefined) break;
  if (result.verdict === "failed") failed++;
  say(`${heading}: ${result.verdict}${before ? " before" : ""} ${figures(result)}`);
  for (const sentence of result.wrong) say(`    ${sentence}`);
  if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(stopping.signal.aborted ? 130 : failed > 0 ? 1 : 0);

/** Undefined when it was interrupted. */
async function runOne(scenario: Scenario, heading: string): Promise<Result | undefined> {
  const folder = join(out, scenario.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const started = performance.now();
  const loadBefore = loadavg()[0]!;
  let shownMs = 0;
  const progress = (text: string) => {
    const everyMs = process.stderr.isTTY ? 200 : 15_000;
    if (performance.now() - shownMs < everyMs) return;
    shownMs = performance.now();
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${heading}: ${text}` : `${heading}: ${text}\n`);
  };
  const random = seededRandom(settings.seed);
  const run: Run = { ...settings, proxies, random, folder, progress, stopped: stopping.signal };
  const found = await scenario.run(run).catch((error): Finding => ({ figures: {}, wrong: [messageOf(error)] }));
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  if (stopping.signal.aborted) return undefined;
  const skipped = typeof found === "string";
  const finding = skipped ? { figures: {}, wrong: [found] } : found;
  const result: Result = {
    scenario: scenario.name,
    verdict: skipped ? "skipped" : finding.wrong.length > 0 ? "failed" : "passed",
    ...finding,
    settings,
    at: new Date().toISOString(),
    tookMs: Math.round(performance.now() - started),
    load: [loadBefore, loadavg()[0]!],
  };
  results.add(result);
  return result;
}

function figures(result: Result): string {
  const list = Object.entries(result.figures).map(([name, value]) => `${name} ${value}`);
  return `in ${Math.round(result.tookMs / 1000)} s (load ${result.load.map((each) => each.toFixed(1)).join(" to ")}); ${list.join(", ")}`;
}

/** Once: scenarios end at their next step. Twice: at once, and every process is killed. */
function stop(signal: string): void {
  if (stopping.signal.aborted) process.exit(130);
  say(`${signal}: ending, again to end at once`);
  stopping.abort(new Error("interrupted"));
}

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(2);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
