import { must } from "../base/assert.ts";
import { addLog, found, type ZonePlan } from "./founding.ts";
import type { ApplyEvent } from "./log-facts.ts";
import type { Image } from "./process.ts";
import { World } from "./world.ts";

/** Who is there, and which zones there are: what a federation is founded from. */
export interface Topology {
  boxes: string[];
  system: string[];
  zones: ZonePlan[];
  /** Members of the log that rule changes bind and detach. None: there is no such log. */
  extra: string[];
}

/** A founded federation at rest: what its disks hold, and what its logs have told. */
interface Founded {
  images: ReadonlyMap<string, Image>;
  facts: readonly { log: number; generation: number; events: readonly ApplyEvent[] }[];
  logs: ReadonlyMap<string, number>;
  wallMs: number;
}

/** Any number: the founding of a template is the same for all seeds. */
const templateSeed = 7;
/** Until everything is on all disks, ms: beyond the flush of the applied state. */
const restMs = 600;

const known = new Map<string, Founded>();

/**
 * Most of a short run would be the founding of its federation, which is the same every time. So it is done once for each
 * topology, and a run begins with all processes starting on copies of those disks, as after a power cut.
 */
export async function startFounded(world: World, topology: Topology): Promise<void> {
  const key = JSON.stringify(topology);
  const template = known.get(key) ?? (await foundTemplate(topology));
  known.set(key, template);
  world.clock.wallOffsetMs = template.wallMs;
  world.add(...topology.boxes);
  for (const process of world.processes.values()) {
    process.restore(must(template.images.get(process.name), `the disk of ${process.name}`));
  }
  for (const [zone, log] of template.logs) world.logs.set(zone, log);
  for (const { log, generation, events } of template.facts) {
    for (const event of events) world.facts(log, generation).applied(event);
  }
  for (const process of world.processes.values()) process.start();
  await world.until(
    () => [...world.processes.values()].every((process) => process.up),
    restMs,
    () => "every process started",
  );
}

/** Founds the federation in the world itself. */
export async function startNew(world: World, { boxes, system, zones, extra }: Topology): Promise<void> {
  world.add(...boxes);
  await found(world, system, zones);
  if (extra.length > 0) await addLog(world, "extra", extra, must(system[0], "a box"));
}

async function foundTemplate(topology: Topology): Promise<Founded> {
  const world = new World(templateSeed, false);
  world.recording = true;
  await startNew(world, topology);
  await world.run(restMs);
  const images = new Map(Array.from(world.processes.values(), (process) => [process.name, process.image()] as const));
  const facts = world.allFacts.map(({ log, generation, recorded }) => ({ log, generation, events: recorded ?? [] }));
  return { images, facts, logs: world.logs, wallMs: world.clock.wallMs() };
}
