// `npm run build`: one file of JavaScript for each program, in dist/. Containers and packages carry these instead of
// sources and node_modules: they start faster, hold nothing that is not used, and the witness needs no type stripping,
// which lite mode cannot do. Native code cannot be bundled: the box's RocksDB goes beside it as dist/node_modules.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { build, type Plugin } from "esbuild";
import { readFlags } from "../test/flags.ts";
import { billOf, packageOf, wholeBill, writeBill } from "./sbom.ts";

export const root = resolve(import.meta.dirname, "..");
export const dist = join(root, "dist");

/** Name in dist/ → entry file. */
export const programs = {
  box: "node/src/box.ts",
  witness: "node/src/witness.ts",
  operator: "operator/src/main.ts",
  compose: "operator/src/compose.ts",
  nexus: "cli/src/main.ts",
  "kubectl-nexus": "cli/src/kubectl.ts",
} as const;

/** Loaded at run time where they are: native code, and what only a checkout's `nexus up` needs. */
const external = ["@nxtedition/rocksdb", "esbuild"];
/** What a person runs is a program by itself. */
const commands: readonly string[] = ["nexus", "kubectl-nexus"];
const interpreter = "#!/usr/bin/env -S node --disable-warning=ExperimentalWarning\n";
/** CommonJS packages inside an ES module ask for `require`. */
export const banner =
  'import { createRequire as nexusRequire } from "node:module"; const require = nexusRequire(import.meta.url);';

export interface BundleSettings {
  /** Default: dist/. */
  folder?: string;
  /** What the programs say they are, instead of node/src/base/version.ts: for tests of an upgrade. */
  version?: string;
}

/** Bundles the programs, each with a list of what it consists of beside it; answers their files. */
export async function bundle(
  names = Object.keys(programs) as (keyof typeof programs)[],
  { folder = dist, version }: BundleSettings = {},
): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const native = copyRocksdb(join(folder, "node_modules"));
  const whole = await wholeBill();
  const files: string[] = [];
  for (const name of names) {
    const outfile = join(folder, `${name}.mjs`);
    const made = await build({
      entryPoints: [join(root, programs[name])],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node24",
      keepNames: true,
      legalComments: "linked",
      logLevel: "warning",
      external,
      banner: { js: commands.includes(name) ? `${interpreter}${banner}` : banner },
      metafile: true,
      plugins: version === undefined ? [] : [versioned(version)],
    });
    const packages = Object.keys(made.metafile.inputs).map(packageOf);
    const used = new Set([...packages, ...(name === "box" ? native : [])].filter((found) => found !== undefined));
    writeBill(join(folder, `${name}.sbom.json`), billOf(whole, name, used));
    if (commands.includes(name)) chmodSync(outfile, 0o755);
    files.push(outfile);
  }
  return files;
}

function versioned(version: string): Plugin {
  const setup: Plugin["setup"] = (of) =>
    of.onLoad({ filter: /\/node\/src\/base\/version\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const contents = text.replace(/(export const version = )"[^"]*"/, `$1${JSON.stringify(version)}`);
      if (contents === text) throw new Error(`${path} names no other version than ${version}`);
      return { contents, loader: "ts" };
    });
  return { name: "version", setup };
}

/**
 * What `@nxtedition/rocksdb` loads when it runs, its prebuilt code for Linux among it; not its C++ sources. Answers the
 * names.
 */
function copyRocksdb(target: string): Set<string> {
  rmSync(target, { recursive: true, force: true });
  const names = runtimePackages("@nxtedition/rocksdb");
  for (const name of names) {
    const from = packageFolder(name);
    cpSync(from, join(target, name), { recursive: true, filter: (path) => isUsed(path.slice(from.length)) });
  }
  return names;
}

const buildOnly = ["prebuildify", "napi-macros"];
const unused = /^\/(deps|test|node_modules|prebuilds\/(?!linux)[^/]+)(\/|$)|\.(cc|h|gyp|zip|sh|md|ts|tgz)$/;

function isUsed(path: string): boolean {
  return !unused.test(path);
}

function runtimePackages(name: string, seen = new Set<string>()): Set<string> {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const next of Object.keys(manifest(name).dependencies ?? {}))
    if (!buildOnly.includes(next)) runtimePackages(next, seen);
  return seen;
}

function manifest(name: string): { dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(join(packageFolder(name), "package.json"), "utf8"));
}

function packageFolder(name: string): string {
  const folder = join(root, "node_modules", name);
  if (!existsSync(folder)) throw new Error(`${name} is not installed; run 'make dev'`);
  return folder;
}

/** Bytes of a file, or of everything below a folder. */
function sizeBytesOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + sizeBytesOf(join(path, name)), 0);
}

if (import.meta.main) {
  readFlags({
    command: "npm run build --",
    about: "Bundles each program into one file of JavaScript in dist/ and prints their sizes.",
    flags: {},
  });
  for (const file of await bundle())
    console.log(`${file.slice(dirname(dist).length + 1).padEnd(20)} ${(sizeBytesOf(file) / 1e6).toFixed(2)} MB`);
  console.log(`${"dist/node_modules".padEnd(20)} ${(sizeBytesOf(join(dist, "node_modules")) / 1e6).toFixed(2)} MB`);
}
