// How a box is run: its command line and the configuration file that it reads.
import { rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ChildSpec } from "./child.ts";
import { type Folder, writePrivate } from "./folder.ts";
import { nodeOptions } from "./node-flags.ts";
import { type BoxPorts, loopback } from "./ports.ts";

/** The checkout that this file belongs to. */
const checkout = resolve(import.meta.dirname, "../../../..");
/** Where `npm run build` put this file's bundle, and the boxes' beside it; undefined in a checkout. */
const bundles = import.meta.filename.endsWith(".mjs") ? import.meta.dirname : undefined;

export interface BoxProgram {
  name: string;
  role: "Data" | "Witness";
  region: string;
  cluster: string;
  ports: BoxPorts;
  /** Folder with ca.crt, tls.crt, tls.key. */
  certificates: string;
  /** Where other boxes are now; boxes learn of later ones from the system zone. */
  peers: { box: string; endpoint: string }[];
}

/** Where a box runs, when that is not simply this machine's loopback: a network namespace, a control group. */
export interface Place {
  /** Address that it listens on and that others find it at. */
  host: string;
  /** What its command line is appended to; it must become that command (exec), so that its pid stays. */
  command: readonly string[];
}

export interface ProgramSettings {
  federation: string;
  detached: boolean;
  /** Of boxes by name. Default: loopback, started directly. */
  places?: ReadonlyMap<string, Place>;
  /** File that Node runs as a data box. Default: the bundle beside this one, or this checkout's source. */
  dataProgram?: string;
  /** File that Node runs as a witness, without types. Default: the bundle beside this one, or one made from this checkout. */
  witnessProgram?: string;
}

export class Programs {
  readonly #folder: Folder;
  readonly #federation: string;
  readonly #detached: boolean;
  readonly #data: string;
  readonly #places: ReadonlyMap<string, Place>;
  #witness: Promise<string> | undefined;

  constructor(folder: Folder, settings: ProgramSettings) {
    this.#folder = folder;
    this.#federation = settings.federation;
    this.#detached = settings.detached;
    this.#places = settings.places ?? new Map();
    this.#data = settings.dataProgram ?? (bundles ? join(bundles, "box.mjs") : join(checkout, "node/src/box.ts"));
    if (settings.witnessProgram !== undefined) this.#witness = Promise.resolve(settings.witnessProgram);
  }

  /** Writes the configuration and answers what to run. */
  async prepare(box: BoxProgram): Promise<ChildSpec> {
    const config = this.#folder.config(box.name);
    writePrivate(config, `${JSON.stringify(this.#configOf(box), null, 2)}\n`);
    const [command = process.execPath, ...before] = [...(this.#places.get(box.name)?.command ?? []), process.execPath];
    const common = {
      name: box.name,
      command,
      logFile: this.#folder.log(box.name),
      processFile: this.#folder.process(box.name),
    };
    if (box.role === "Data")
      return {
        ...common,
        args: [...before, ...nodeOptions.data.flags, this.#data, "--config", config],
        env: nodeOptions.data.environment,
      };
    this.#witness ??= bundleWitness(join(this.#folder.run, "witness.mjs"));
    const args = [...before, ...nodeOptions.witness.flags, await this.#witness, "--config", config];
    return { ...common, args, env: nodeOptions.witness.environment };
  }

  /** Address that the box listens on. */
  hostOf(box: string): string {
    return this.#places.get(box)?.host ?? loopback;
  }

  #configOf(box: BoxProgram): object {
    const { name, role, region, cluster, ports, certificates, peers } = box;
    return {
      federation: this.#federation,
      box: name,
      role,
      region,
      cluster,
      dir: this.#folder.box(name),
      peer: { host: this.hostOf(name), port: ports.peer },
      ...(role === "Data"
        ? { client: { host: this.hostOf(name), port: ports.client }, tokensFile: this.#folder.tokens }
        : {}),
      tls: {
        ca: join(certificates, "ca.crt"),
        cert: join(certificates, "tls.crt"),
        key: join(certificates, "tls.key"),
      },
      peers,
      // The box stops when its stdin ends.
      controlPipe: !this.#detached,
    };
  }
}

/** One file without types, as lite mode needs it. */
async function bundleWitness(target: string): Promise<string> {
  if (bundles !== undefined) return join(bundles, "witness.mjs");
  const { build } = await import("esbuild");
  await build({
    entryPoints: [join(checkout, "node/src/witness.ts")],
    outfile: `${target}.new`,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    logLevel: "silent",
    banner: {
      js: 'import { createRequire as nexusRequire } from "node:module"; const require = nexusRequire(import.meta.url);',
    },
  });
  await rename(`${target}.new`, target);
  return target;
}
