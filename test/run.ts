// Runs the suites one after the other, shows what each takes, and ends with "N passed, N failed".
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { readFlags } from "./flags.ts";

interface Step {
  suite: "check" | "unit" | "kube-api" | "e2e" | "pods";
  name: string;
  command: string[];
  environment?: Record<string, string>;
  /** The command writes a vitest JSON report to the path put in place of REPORT; absent: the exit code is one result. */
  report?: boolean;
  /** Left out of `make test`, which stays under a quarter of an hour; in with NEXUS_TEST_ALL=1 (.ci/run) or by name. */
  apart?: boolean;
}

const steps: Step[] = [
  { suite: "check", name: "types", command: ["tsc", "--noEmit", "-p", "."] },
  { suite: "check", name: "style", command: ["biome", "check", "--max-diagnostics=50", "."] },
  { suite: "check", name: "likely mistakes", command: ["oxlint", "--quiet"] },
  { suite: "unit", name: "unit and property tests", command: vitest("vitest.config.ts"), report: true },
  {
    suite: "kube-api",
    name: "kubernetes api",
    command: vitest("vitest.kube-api.config.ts"),
    report: true,
    apart: true,
  },
  { suite: "e2e", name: "real processes", command: vitest("vitest.e2e.config.ts"), report: true },
  {
    suite: "pods",
    name: "pods on a cluster of one node",
    command: [...vitest("vitest.kube.config.ts"), "e2e/kube/lifecycle.kube.ts", "e2e/kube/compose.kube.ts"],
    environment: { NEXUS_E2E_OPTIONAL: "1", NEXUS_E2E_NODES: "1", NEXUS_E2E_CLUSTER: "own" },
    report: true,
    apart: true,
  },
];

function vitest(config: string): string[] {
  return ["vitest", "run", "--config", config, "--reporter=dot", "--reporter=json", "--outputFile.json=REPORT"];
}

function run(command: string[], environment: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: "inherit", env: { ...process.env, ...environment } });
    child.on("error", () => resolve(127));
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

const { word: wanted } = readFlags({
  command: "node test/run.ts",
  about: "Runs the suites one after the other; NEXUS_TEST_ALL=1: those that stand apart too.",
  flags: {},
  words: {
    check: "types, style and likely mistakes",
    unit: "unit and property tests",
    e2e: "federations of real processes",
    "kube-api": "the operator against a real API server; only by its name or with NEXUS_TEST_ALL=1",
    pods: "a core of the scenarios of make e2e, where a cluster can be had; only by its name or with NEXUS_TEST_ALL=1",
  },
});
const all = process.env["NEXUS_TEST_ALL"] === "1";
const folder = mkdtempSync(join(tmpdir(), "nexus-test-"));
let passed = 0;
let failed = 0;
const skips: string[] = [];
const failures: string[] = [];
const isWanted = (step: Step) => step.suite === wanted || (wanted === undefined && (all || !step.apart));
for (const step of steps.filter(isWanted)) {
  const started = performance.now();
  console.log(`\n== ${step.name}`);
  const reportPath = join(folder, `${step.suite}.json`);
  const command = step.command.map((word) => word.replace("REPORT", reportPath));
  const code = await run(command, step.environment);
  const counts = step.report ? readReport(reportPath) : undefined;
  if (counts) {
    passed += counts.passed;
    failed += counts.failed;
    skips.push(...counts.skips);
    failures.push(...counts.failures);
    if (code !== 0 && counts.failed === 0) {
      failed++;
      failures.push(`${step.name}: every test passed, yet it ended with code ${code}`);
    }
  } else if (code === 0 && !step.report) passed++;
  else {
    failed++;
    failures.push(`${step.name}: ended with code ${code}`);
  }
  console.log(
    `== ${step.name}: ${code === 0 ? "ok" : "FAILED"} in ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
}
rmSync(folder, { recursive: true, force: true });
if (skips.length > 0) console.log(`\nSkipped; each says why above:\n${skips.join("\n")}`);
if (failures.length > 0) console.log(`\nWhat failed:\n${failures.join("\n")}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

interface Counts {
  passed: number;
  failed: number;
  /** Files with tests that were not run, and how many. */
  skips: string[];
  /** Each failed test or file with the beginning of its reason: a log is often read from its end only. */
  failures: string[];
}

function readReport(path: string): Counts | undefined {
  try {
    const report: VitestReport = JSON.parse(readFileSync(path, "utf8"));
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skips: report.testResults.flatMap(skipsOf),
      failures: report.testResults.flatMap(failuresOf),
    };
  } catch {
    return undefined;
  }
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: FileReport[];
}

interface FileReport {
  name: string;
  status: string;
  message?: string;
  assertionResults: { status: string; fullName: string; failureMessages?: string[] }[];
}

function skipsOf(file: FileReport): string[] {
  const { length } = file.assertionResults.filter(({ status }) => status === "skipped" || status === "pending");
  return length === 0 ? [] : [`- ${relative(process.cwd(), file.name)}: ${length} tests`];
}

function failuresOf(file: FileReport): string[] {
  const name = relative(process.cwd(), file.name);
  const tests = file.assertionResults
    .filter((test) => test.status === "failed")
    .map((test) => `- ${name}: ${test.fullName}\n${shortened((test.failureMessages ?? []).join("\n"))}`);
  if (tests.length > 0 || file.status !== "failed") return tests;
  return [`- ${name}: the file itself failed\n${shortened(file.message ?? "")}`];
}

function shortened(text: string): string {
  const most = 1_200;
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}
