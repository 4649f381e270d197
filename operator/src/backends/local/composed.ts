// Boxes that docker compose runs, as services of their own names. What each reads is written beforehand, and the
// runtime of `nexus up` finds them there instead of starting processes. The volumes stand below one folder: `setup`
// (authority, token: what `nexus --dir` reads), and BOX-config and BOX-data of each box.
import { chownSync, copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import type { Resource } from "../../api/kinds.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import { boxPorts, configInContainer, imageUser } from "../shared/container.ts";
import type { ChildView } from "./child.ts";
import type { Boxes } from "./fleet.ts";
import { Folder, writePrivate } from "./folder.ts";
import { ensureToken, Identities, readContext, writeContext } from "./identities.ts";

/** Inside a box's container. */
const inside = { access: "/etc/nexus", tls: "/etc/nexus/tls", data: "/var/lib/nexus" };

type Box = Extract<Resource, { kind: "Box" }>;

export interface ComposeSettings {
  /** Where the volumes are mounted. */
  volumes: string;
  federation: string;
  /** User and group that own `setup` afterwards: those who type `nexus --dir`. */
  owner: { user: number; group: number };
}

export function boxesIn(resources: readonly Resource[]): Box[] {
  return resources.filter((resource): resource is Box => resource.kind === "Box");
}

export function setupFolder({ volumes }: ComposeSettings): Folder {
  return new Folder(join(volumes, "setup"));
}

/** Certificates, table of tokens and configuration of every box. Idempotent: what there is stays and is renewed. */
export async function prepare(
  settings: ComposeSettings,
  boxes: readonly Box[],
  { clock, random }: { clock: Clock; random: Random },
): Promise<void> {
  const { volumes, federation } = settings;
  const folder = setupFolder(settings);
  folder.create();
  const nowMs = clock.wallMs();
  const identities = await Identities.open(folder, federation, { nowMs });
  const token = ensureToken(folder, federation, random);
  // The token is kept there and nowhere else.
  if (readContext(folder) === undefined)
    writeContext(folder, { federation, endpoints: endpointsOf(boxes), token, ca: identities.caPem });
  await identities.operator(nowMs);
  for (const { metadata, spec } of boxes) {
    const { name } = metadata;
    const certificates = await identities.box(name, nowMs);
    const config = join(volumes, `${name}-config`);
    const tls = join(config, "tls");
    mkdirSync(tls, { recursive: true });
    for (const file of readdirSync(certificates)) copyFileSync(join(certificates, file), join(tls, file));
    copyFileSync(folder.tokens, join(config, "tokens.json"));
    const settingsOfBox = configInContainer({ name, federation, spec }, inside);
    writePrivate(join(config, "config.json"), `${JSON.stringify(settingsOfBox, null, 2)}\n`);
    giveAll(config, { user: imageUser, group: imageUser });
    const data = join(volumes, `${name}-data`);
    mkdirSync(data, { recursive: true });
    give(data, { user: imageUser, group: imageUser });
  }
  giveAll(folder.root, settings.owner);
}

/** Only root can, and has to: volumes begin as root's. */
function give(path: string, { user, group }: ComposeSettings["owner"]): void {
  if (process.getuid?.() === 0) chownSync(path, user, group);
}

export function giveAll(path: string, owner: ComposeSettings["owner"]): void {
  give(path, owner);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) giveAll(inner, owner);
    else if (entry.isFile()) give(inner, owner);
  }
}

/** Client listeners as containers of the same network find them. */
function endpointsOf(boxes: readonly Box[]): string[] {
  return boxes.filter(({ spec }) => spec.role === "Data").map(({ metadata }) => `${metadata.name}:${boxPorts.client}`);
}

/** The services as the runtime sees them: compose keeps them running, and who does not answer is asked again. */
export function composedBoxes(boxes: readonly Box[]): Boxes {
  const view: ChildView = { pid: 0, running: true, restarts: 0, lastExit: "" };
  const workloadOf = ({ metadata, spec }: Box): ObservedWorkload => ({
    exists: true,
    running: true,
    peerEndpoint: `${metadata.name}:${boxPorts.peer}`,
    clientEndpoint: spec.role === "Witness" ? "" : `${metadata.name}:${boxPorts.client}`,
  });
  return {
    views: new Map(boxes.map(({ metadata }) => [metadata.name, view])),
    workloads: new Map(boxes.map((box) => [box.metadata.name, workloadOf(box)])),
    confirm: () => undefined,
    ensure: async () => undefined,
    remove: async () => undefined,
    stop: async () => undefined,
  };
}
