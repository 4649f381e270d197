import { existsSync, mkdirSync, mkdtempSync, renameSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./binaries.ts";
import { must, run } from "./programs.ts";

/** Debian's promtool. Its package is unpacked and not installed: installed, it starts a Prometheus. Throws where there is no apt-get. */
export async function promtool(): Promise<string> {
  const folder = join(cacheFolder, "prometheus-debian");
  const program = join(folder, "usr/bin/promtool");
  if (existsSync(program)) return program;
  mkdirSync(cacheFolder, { recursive: true });
  const made = mkdtempSync(join(cacheFolder, "prometheus-"));
  if (process.getuid?.() === 0) await run(["apt-get", "update", "-qq"]);
  await must(["apt-get", "download", "-qq", "prometheus"], { cwd: made });
  await must(["sh", "-c", "dpkg -x prometheus_*.deb . && rm prometheus_*.deb"], { cwd: made });
  renameSync(made, folder);
  return program;
}
