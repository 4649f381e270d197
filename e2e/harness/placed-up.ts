// `nexus up` whose boxes run where the harness says: argv folder, places.json, YAML files. The same runtime, supervisor
// and programs; only the command lines and addresses of the boxes differ. It ends with its stdin, so that a harness
// that dies leaves nothing running.
import { existsSync, readFileSync } from "node:fs";
import type { Place } from "@nexus-federation/operator/backends/local/programs.ts";
import { federationOf } from "@nexus-federation/operator/federation-name.ts";
import { LocalRuntime } from "@nexus-federation/operator/local.ts";

const [folder, placesFile, ...names] = process.argv.slice(2) as [string, string, ...string[]];
const files = names.map((name) => ({ name, text: readFileSync(name, "utf8") }));
const places = new Map<string, Place>(Object.entries(JSON.parse(readFileSync(placesFile, "utf8"))));
const runtime = await LocalRuntime.open({
  folder,
  federation: existsSync(`${folder}/federation.json`)
    ? readFileSync(`${folder}/federation.json`, "utf8").trim()
    : federationOf(files),
  detached: false,
  places,
  report: (line) => process.stderr.write(`${line}\n`),
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void runtime.stop());
process.stdin.resume().on("close", () => void runtime.stop());
const { refused } = await runtime.start(files);
if (refused.length > 0) {
  process.stderr.write(`${JSON.stringify(refused)}\n`);
  await runtime.stop();
}
await runtime.finished();
// The open stdin would keep it alive.
process.exit(0);
