import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { asOutput, type Directive, parseFile } from "./conformance/datadriven.ts";
import { interactionRunner } from "./conformance/directives.ts";

/** Our own transcripts, of what etcd-io/raft does not have. NEXUS_REWRITE=1 writes down what happens now. */
const folder = join(import.meta.dirname, "testdata");
const rewrite = process.env["NEXUS_REWRITE"] === "1";

for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt"))) {
  const text = readFileSync(join(folder, file), "utf8");

  test(`${file} happens as it is written`, () => {
    const run = interactionRunner();
    const outputs = parseFile(text).map((directive) => ({ directive, actual: asOutput(run(directive)) }));

    if (rewrite) writeFileSync(join(folder, file), rewritten(text, outputs));
    else for (const { directive, actual } of outputs) expect(actual, `line ${directive.line}`).toBe(directive.expected);
    expect(outputs.length).toBeGreaterThan(0);
  });
}

function rewritten(text: string, outputs: readonly { directive: Directive; actual: string }[]): string {
  const lines = text.split("\n");
  let at = 0;
  let result = "";
  for (const { directive, actual } of outputs) {
    for (; at < directive.line - 1; at++) {
      const line = lines[at] ?? "";
      if (line.startsWith("#") || line === "") result += `${line}\n`;
    }
    const input = directive.input === "" ? "" : `${directive.input}\n`;
    result += `${lines[at]}\n${input}----\n${actual}`;
    at += 2 + (directive.input === "" ? 0 : directive.input.split("\n").length);
    while (at < lines.length && lines[at] !== "") at++;
  }
  return result;
}
