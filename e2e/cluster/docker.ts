// The Docker engine that the own cluster needs. Where none answers and this process is root on a Debian, it is installed
// and started by hand, and stopped again. Whatever is started is given to a caretaker process that outlives a kill -9 of
// the suite by just the time it takes to remove it.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./binaries.ts";
import { must, run, until } from "./programs.ts";

/** Every container and network of the suites carries it, with the owner's process id as its value. */
export const ownerLabel = "nexus-e2e-owner";

/** Why containers cannot be had here, in one sentence; undefined when they can. */
export async function whyNoDocker(): Promise<string | undefined> {
  if (await dockerAnswers()) return undefined;
  if (process.getuid?.() !== 0) return "no Docker engine answers, and only root can install or start one";
  if (!existsSync("/usr/sbin/dockerd") && !existsSync("/usr/bin/dockerd") && !existsSync("/usr/bin/apt-get"))
    return "no Docker engine is here, and without apt-get it cannot be installed";
  return undefined;
}

/** An engine that answers. Installs and starts one where that is needed, telling so; the caretaker stops what it started. */
export async function ensureDocker(): Promise<void> {
  if (await dockerAnswers()) return;
  await ensureDebianPackages([["/usr/sbin/dockerd", "docker.io"]]);
  mkdirSync(cacheFolder, { recursive: true });
  const log = openSync(join(cacheFolder, "dockerd.log"), "a");
  console.error("starting a Docker engine ...");
  const engine = spawn("dockerd", ["--log-level", "warn"], { detached: true, stdio: ["ignore", log, log] });
  engine.on("error", () => undefined);
  engine.unref();
  await caretaker(`kill ${engine.pid}`);
  await until("an answer of the Docker engine", dockerAnswers, { withinMs: 60_000 });
}

/** Installs what is missing of [file, package] pairs. */
export async function ensureDebianPackages(pairs: [file: string, name: string][]): Promise<void> {
  const missing = pairs.filter(([file]) => !existsSync(file)).map(([, name]) => name);
  if (missing.length === 0) return;
  console.error(`installing ${missing.join(", ")} (about a minute) ...`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await must(["apt-get", "update", "-qq"], { env });
  await must(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
}

/** A shell that runs the command once this process is gone, however it went. */
export async function caretaker(command: string): Promise<void> {
  const child = spawn("/bin/sh", ["-c", `cat > /dev/null; ${command}`], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", () => undefined);
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
}

/** Removes the containers, then the networks, of one owner. */
export function removalOf(owner: string): string {
  const label = `--filter label=${ownerLabel}=${owner}`;
  return [
    `docker ps -aq ${label} | xargs -r docker rm -f -v`,
    `docker network ls -q ${label} | xargs -r docker network rm`,
  ].join("; ");
}

/** Removes what owners that no longer live have left. */
export async function removeOrphans(): Promise<void> {
  const format = `{{.Label "${ownerLabel}"}}`;
  const lists = ["docker ps -a", "docker network ls"].map((list) => list.split(" "));
  for (const list of lists) {
    const printed = await run([...list, "--filter", `label=${ownerLabel}`, "--format", format]);
    for (const owner of new Set(printed.stdout.split("\n").filter(Boolean)))
      if (!existsSync(`/proc/${owner.split("-")[0]}`)) await must(["sh", "-c", removalOf(owner)]);
  }
}

async function dockerAnswers(): Promise<boolean> {
  return (await run(["docker", "version", "--format", "{{.Server.Version}}"], { timeoutMs: 10_000 })).code === 0;
}
