// Kubernetes publishes its servers as images and downloads; behind a package registry only, neither can be had. But every
// part is a Go module. This builds what the suites need from the modules pinned in go/, one folder a program and version
// under ~/.cache/nexus-e2e (NEXUS_E2E_CACHE moves it), so that a second run starts at once.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, until } from "./programs.ts";

/** Kubernetes v1.36.3: the version that the suites run against. */
export const kubernetesVersion = "1.36.3";
const gitMinor = kubernetesVersion.split(".")[1]!;
const sources = join(dirname(fileURLToPath(import.meta.url)), "go");
export const cacheFolder = process.env["NEXUS_E2E_CACHE"] ?? join(homedir(), ".cache/nexus-e2e");

interface Recipe {
  version: string;
  /** What one build takes on two cores with nothing cached. */
  takes: string;
  /** Package to build, seen from the module's folder; default `.`. */
  target?: string;
  ldflags?: string;
  /** Names by which the program is called too. */
  links?: string[];
}

const recipes = {
  etcd: { version: "3.6.8", takes: "half a minute" },
  kube: {
    version: kubernetesVersion,
    takes: "5 to 7 minutes",
    ldflags: [`gitVersion=v${kubernetesVersion}`, "gitMajor=1", `gitMinor=${gitMinor}`]
      .map((pair) => `-X k8s.io/component-base/version.${pair}`)
      .join(" "),
    links: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"],
  },
  helm: {
    version: "3.20.0",
    takes: "a minute and a half",
    target: "helm.sh/helm/v3/cmd/helm",
    // Without them it believes that it talks to Kubernetes 1.20.
    ldflags: ["chartutil", "lint/rules"]
      .flatMap((folder) => [`${folder}.k8sVersionMajor=1`, `${folder}.k8sVersionMinor=${gitMinor}`])
      .map((pair) => `-X helm.sh/helm/v3/pkg/${pair}`)
      .join(" "),
  },
  coredns: { version: "1.15.0", takes: "a minute and a half" },
  pause: { version: "1", takes: "seconds" },
} satisfies Record<string, Recipe>;
export type ProgramName = keyof typeof recipes;

/** Absolute paths. `kubectl` and the other links are `kube` under another name. */
export interface Binaries extends Record<ProgramName, string> {
  apiserver: string;
  controllerManager: string;
  kubectl: string;
}

/** Why nothing can be built here, in one sentence; undefined when it can, or when all that is wanted is built. */
export async function whyNoBinaries(wanted: readonly ProgramName[] = names): Promise<string | undefined> {
  if (wanted.every((name) => existsSync(pathOf(name)))) return undefined;
  const go = await run(["go", "version"], { timeoutMs: 10_000 });
  return go.code === 0 ? undefined : "Go 1.26 is not here: the parts of Kubernetes cannot be built";
}

/** Paths of the programs; builds those of `wanted` that are not there, saying so. Throws with the compiler's words. */
export async function binaries(wanted: readonly ProgramName[] = names): Promise<Binaries> {
  for (const name of wanted) if (!existsSync(pathOf(name))) await build(name);
  const paths = Object.fromEntries(names.map((name) => [name, pathOf(name)])) as Record<ProgramName, string>;
  const called = (name: string) => join(dirname(paths.kube), name);
  return {
    ...paths,
    apiserver: called("kube-apiserver"),
    controllerManager: called("kube-controller-manager"),
    kubectl: called("kubectl"),
  };
}

const names = Object.keys(recipes) as ProgramName[];

function pathOf(name: ProgramName): string {
  return join(cacheFolder, `${name}-${recipes[name].version}`, name);
}

async function build(name: ProgramName): Promise<void> {
  const recipe: Recipe = recipes[name];
  const target = pathOf(name);
  mkdirSync(dirname(target), { recursive: true });
  const unlock = await lock(`${dirname(target)}.lock`);
  try {
    if (existsSync(target)) return;
    const flags = `-s -w ${recipe.ldflags ?? ""}`.trim();
    const made = `${target}.new`;
    const args = ["-n", "10", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", made];
    await withProgress(
      `building ${name} ${recipe.version} (${recipe.takes} when nothing is cached)`,
      ["nice", ...args, recipe.target ?? "."],
      join(sources, name),
    );
    for (const link of recipe.links ?? []) {
      rmSync(join(dirname(target), link), { force: true });
      symlinkSync(name, join(dirname(target), link));
    }
    renameSync(made, target);
  } finally {
    unlock();
  }
}

async function withProgress(what: string, command: string[], cwd: string): Promise<void> {
  const started = performance.now();
  const say = (more: string) => console.error(`${what}${more} ${((performance.now() - started) / 1000).toFixed(0)} s`);
  console.error(`${what} ...`);
  const ticks = setInterval(() => say(": still at it after"), 30_000);
  const outcome = await new Promise<{ code: number | null; said: string }>((resolve) => {
    const child = spawn(command[0]!, command.slice(1), { cwd, env: { ...process.env, CGO_ENABLED: "0" } });
    let said = "";
    child.stderr.on("data", (text: Buffer) => (said = (said + text.toString()).slice(-4_000)));
    child.on("error", (error) => resolve({ code: 127, said: error.message }));
    child.on("close", (code) => resolve({ code, said }));
  });
  clearInterval(ticks);
  if (outcome.code !== 0) throw new Error(`${what} failed: ${outcome.said}`);
  say(": done in");
}

/** One builder at a time; a lock whose process is gone is taken over. */
async function lock(path: string): Promise<() => void> {
  await until(`the lock ${path}`, async () => tryLock(path), { withinMs: 20 * 60_000, everyMs: 500 });
  return () => rmSync(path, { force: true });
}

function tryLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    const holder = existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
    if (holder > 0 && !isAlive(holder)) rmSync(path, { force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await binaries(), null, 2));
