import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { confChangeRunner } from "./conformance/confchange.ts";
import { asOutput, type Directive, parseFile, withoutLog } from "./conformance/datadriven.ts";
import { interactionRunner } from "./conformance/directives.ts";
import { runQuorumCase } from "./conformance/quorum.ts";

type Runner = (directive: Directive) => string;

/** Where the expectations are: beside the checkout, or where NEXUS_RAFT_TESTDATA says; either layout will do. */
const root =
  process.env["NEXUS_RAFT_TESTDATA"] ?? join(import.meta.dirname, "../../../../shared/conformance/etcd-raft");

const kinds: readonly { name: string; folders: readonly string[]; runner: () => Runner }[] = [
  { name: "quorum", folders: ["quorum/testdata", "quorum"], runner: () => runQuorumCase },
  { name: "confchange", folders: ["confchange/testdata", "confchange"], runner: confChangeRunner },
  { name: "interaction", folders: ["interaction", "testdata"], runner: interactionRunner },
];

const tiers = [
  { name: "without logger lines", view: withoutLog },
  { name: "byte for byte", view: (text: string): string => text },
] as const;

if (!existsSync(root)) {
  test.skip(`SKIPPED: the expectations of etcd-io/raft are not at ${root}; set NEXUS_RAFT_TESTDATA to run them`, () => {});
} else {
  for (const { name, folders, runner } of kinds) {
    const folder = folders.map((path) => join(root, path)).find(existsSync);
    const files = folder === undefined ? [] : readdirSync(folder).filter((file) => file.endsWith(".txt"));

    describe(`etcd-io/raft's expectations: ${name}`, () => {
      test("there are files to hold against us", () => expect(files.length).toBeGreaterThan(0));

      for (const file of files) {
        const text = readFileSync(join(folder ?? "", file), "utf8");
        for (const tier of tiers) test(`${file} is met ${tier.name}`, () => run(text, runner(), tier.view));
      }
    });
  }
}

function run(text: string, runner: Runner, view: (text: string) => string): void {
  const directives = parseFile(text);
  expect(directives.length).toBeGreaterThan(0);
  for (const directive of directives) {
    const actual = asOutput(runner(directive));
    expect(view(actual), `line ${directive.line}: ${directive.command}`).toBe(view(directive.expected));
  }
}
