// The one-shot services of compose.yaml. `prepare` writes what the boxes read before they start; `found` makes the bootstrap
// call and everything else that the resources ask for, by the runtime of `nexus up`, and ends once they are as declared.
// Why not a script of docker compose: the boxes know each other by certificates, and a list of peers founds nothing.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { systemClock as clock, systemRandom as random } from "@nexus-federation/node/transport/system-clock.ts";
import { loadFiles, printFault, type SourceFile } from "./api/load.ts";
import {
  boxesIn,
  type ComposeSettings,
  composedBoxes,
  giveAll,
  prepare,
  setupFolder,
} from "./backends/local/composed.ts";
import { readContext, writeContext } from "./backends/local/identities.ts";
import { LocalRuntime } from "./local.ts";

/** Boxes that start and elect need seconds; a machine that is busy needs more, ms. */
const settleMs = 300_000;
const usage = `usage: compose prepare|found --resources FILE --volumes FOLDER [--federation NAME] [--owner USER:GROUP] [--endpoint HOST:PORT]...`;

function read(): { verb: string; settings: ComposeSettings; file: SourceFile; endpoints: string[] } {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      resources: { type: "string" },
      volumes: { type: "string" },
      federation: { type: "string", default: "default" },
      owner: { type: "string", default: "0:0" },
      endpoint: { type: "string", multiple: true, default: [] },
    },
  });
  const [verb = ""] = positionals;
  const owner = /^(\d+):(\d+)$/.exec(values.owner);
  if (!["prepare", "found"].includes(verb) || !values.resources || !values.volumes || !owner) throw new Error(usage);
  const file = { name: values.resources, text: readFileSync(values.resources, "utf8") };
  const { federation, volumes } = values;
  const settings = { volumes, federation, owner: { user: Number(owner[1]), group: Number(owner[2]) } };
  return { verb, settings, file, endpoints: values.endpoint };
}

async function found(settings: ComposeSettings, file: SourceFile, boxes: Parameters<typeof composedBoxes>[0]) {
  const runtime = await LocalRuntime.open({
    federation: settings.federation,
    detached: true,
    folder: setupFolder(settings).root,
    boxes: composedBoxes(boxes),
    report: (line) => console.log(line),
  });
  const { refused } = await runtime.start([file]);
  const status = refused.length > 0 ? undefined : await runtime.settle(settleMs);
  await runtime.stop();
  if (refused.length > 0) throw new Error(refused.map(printFault).join("; "));
  if (status?.settled !== true)
    throw new Error(`not as declared after ${settleMs / 1000} s: ${JSON.stringify(status)}`);
}

async function main(): Promise<void> {
  const { verb, settings, file, endpoints } = read();
  const loaded = loadFiles([file]);
  if ("faults" in loaded) throw new Error(loaded.faults.map(printFault).join("; "));
  const boxes = boxesIn(loaded.resources);
  if (verb === "prepare") {
    await prepare(settings, boxes, { clock, random });
    console.log(`certificates and configurations of ${boxes.length} boxes are written`);
    return;
  }
  await found(settings, file, boxes);
  // What the runtime wrote are the names of the services, which nobody outside of their network knows.
  publish(settings, endpoints);
  console.log(`the federation ${settings.federation} serves; nexus --dir FOLDER speaks to ${endpoints.join(", ")}`);
}

function publish(settings: ComposeSettings, endpoints: readonly string[]): void {
  const folder = setupFolder(settings);
  const context = readContext(folder);
  if (context !== undefined && endpoints.length > 0) {
    const { federation, token, ca } = context;
    writeContext(folder, { federation, endpoints: [...endpoints], token, ca });
  }
  giveAll(folder.root, settings.owner);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`nexus compose: ${messageOf(error)}\n`);
  process.exit(1);
}
