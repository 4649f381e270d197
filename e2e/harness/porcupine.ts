// The second opinion: Porcupine, built from e2e/faults/porcupine with the machine's Go, once a machine and source.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Line } from "./history.ts";
import { wrongPaths } from "./linearizable.ts";
import { checkout } from "./run.ts";

const source = join(checkout, "e2e/faults/porcupine");
const cache = join(checkout, "node_modules/.cache/nexus-porcupine");
const buildMs = 300_000;
const outputBytesMax = 64 * 1024 * 1024;

export interface Verdict {
  /** Paths looked at, paths that no order explains, paths whose check took too long. */
  checked: number;
  wrong: string[];
  unknown: string[];
}
export type Porcupine = (lines: readonly Line[]) => Verdict;

/** The reason, as a sentence, when it cannot be built here. */
export function porcupine(): Porcupine | string {
  const hash = createHash("sha256");
  for (const name of ["go.mod", "go.sum", "main.go", "models.go"]) hash.update(readFileSync(join(source, name)));
  const program = join(cache, hash.digest("hex").slice(0, 16));
  if (!existsSync(program)) {
    const failed = build(program);
    if (failed !== undefined) return failed;
  }
  return (lines) => {
    const input = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    return JSON.parse(execFileSync(program, { input, encoding: "utf8", maxBuffer: outputBytesMax })) as Verdict;
  };
}

function build(program: string): string | undefined {
  mkdirSync(cache, { recursive: true });
  const args = ["build", "-trimpath", "-o", `${program}.new`, "."];
  const { error, status, stderr } = spawnSync("go", args, { cwd: source, timeout: buildMs, encoding: "utf8" });
  if (error) return `Porcupine needs Go to be built (${error.message})`;
  if (status !== 0) return `Porcupine could not be built: ${stderr.trim()}`;
  renameSync(`${program}.new`, program);
  return undefined;
}

let known: Porcupine | string | undefined;

/** Paths that no order explains by either checker; throws when they differ, or when Porcupine found no end. */
export function wrongByBoth(lines: readonly Line[]): string[] {
  const ours = wrongPaths(lines).sort();
  if (known === undefined) {
    known = porcupine();
    if (typeof known === "string") console.warn(`SKIPPED: the second checker. ${known}`);
  }
  if (typeof known === "string") return ours;
  const { wrong, unknown } = known(lines);
  if (unknown.length > 0) throw new Error(`Porcupine found no verdict in time for ${unknown.join(", ")}`);
  if (wrong.join() !== ours.join()) throw new Error(`the checkers differ: ours ${ours}, Porcupine's ${wrong}`);
  return ours;
}
