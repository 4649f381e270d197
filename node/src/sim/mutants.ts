import { spawn } from "node:child_process";
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readFlags } from "../../../test/flags.ts";
import { type Mutant, mutants } from "./mutants-list.ts";

// Proves the simulator: each mutant is planted into a copy of the tree and must be found. A table says how fast.

const { flags: values } = readFlags({
  command: "npm run sim:mutants --",
  about: "Plants one mistake at a time into a copy of the code and simulates seeds until one fails.",
  flags: {
    seeds: { about: "seeds to try each mistake with", count: 300 },
    from: { about: "the first of them", count: 1, least: 0 },
    only: { about: "mistakes whose name has it", value: "TEXT", default: "" },
    kind: { about: "only seeds of that kind", value: "NAME" },
    done: { about: "results are kept there, and mistakes that have one are not tried again", value: "FILE" },
  },
});

const root = resolve(import.meta.dirname, "../../..");

/** A copy of what the simulator runs, beside the installed packages. */
async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "nexus-mutants-"));
  await cp(join(root, "node/src"), join(copy, "node/src"), { recursive: true });
  await cp(join(root, "proto"), join(copy, "proto"), { recursive: true });
  await cp(join(root, "test/flags.ts"), join(copy, "test/flags.ts"));
  for (const name of ["package.json", "node/package.json"]) await cp(join(root, name), join(copy, name));
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

async function plant(copy: string, { name, file, from, to }: Mutant): Promise<() => Promise<void>> {
  const path = join(copy, "node/src", file);
  const text = await readFile(path, "utf8");
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`mutant "${name}": the text stands ${parts.length - 1} times in ${file}`);
  await writeFile(path, parts.join(to));
  return () => writeFile(path, text);
}

interface Found {
  seeds: number;
  seed: string;
  what: string;
}

/** Runs seeds in a process of their own until one fails. */
async function hunt(copy: string): Promise<Found | undefined> {
  const main = join(copy, "node/src/sim/main.ts");
  const kind = values.kind === undefined ? [] : ["--kind", values.kind];
  const child = spawn(process.execPath, [main, "--seeds", `${values.seeds}`, "--from", `${values.from}`, ...kind], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (out += data));
  await new Promise((done) => child.on("close", done));
  const found = /^seed (\d+) \(\w+, trace \w+\): (.*)$/m.exec(out);
  if (found === null) return child.exitCode === 0 ? undefined : { seeds: 0, seed: "?", what: out.slice(0, 200) };
  const [, seed = "", what = ""] = found;
  return { seeds: Number(seed) - values.from + 1, seed, what };
}

async function lines(): Promise<string[]> {
  if (values.done === undefined) return [];
  const text = await readFile(values.done, "utf8").catch(() => "");
  return text.split("\n");
}

async function tell(line: string): Promise<void> {
  console.log(line);
  if (values.done !== undefined) await appendFile(values.done, `${line}\n`);
}

const tried = await lines();
const isTried = ({ name }: Mutant) => tried.some((line) => line.includes(`  ${name}: `));
const copy = await copyTree();
let missed = 0;
try {
  if (values.only === "") {
    const sound = await hunt(copy);
    if (sound !== undefined) console.log(`WITHOUT ANY MUTANT seed ${sound.seed} fails: ${sound.what}`);
  }
  for (const mutant of mutants.filter((one) => one.name.includes(values.only) && !isTried(one))) {
    const restore = await plant(copy, mutant);
    const found = await hunt(copy);
    await restore();
    if (found === undefined) missed++;
    const seeds = found === undefined ? "NOT FOUND" : `${found.seeds} seeds`;
    await tell(`${seeds.padStart(10)}  ${mutant.name}: ${found?.what.slice(0, 160) ?? `in ${values.seeds} seeds`}`);
  }
} finally {
  await rm(copy, { recursive: true, force: true });
}
process.exitCode = missed > 0 ? 1 : 0;
