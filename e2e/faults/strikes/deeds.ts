// What an administrator asks for takes several steps, some of them in two logs. Here a box is lost while one is under way,
// and comes back; the deed must come to its end, and no client may see that it was cut in two.

import { pause, until } from "../../harness/run.ts";
import { box as boxYaml, documents, group, systemGroup, witness, zone } from "../../harness/yaml.ts";
import { dataBoxes, otherThan, pick, type World, witnessBox } from "../scenario.ts";
import type { Preparation } from "../world.ts";
import type { Mend, Strike } from "./strike.ts";

/** Harm begins within this time after the deed. */
const harmAfterMsMax = 1500;
const deedMsMax = 180_000;
const third = "nexus-3";

/** One attempt; asked again until it says true. */
type Deed = () => Promise<boolean>;

interface DeedKind {
  name: string;
  about: string;
  preparation?: Preparation;
  /** What is asked for this time; `round` counts from 0. */
  next(world: World, round: number): Promise<Deed>;
}

const members = (second: string) => systemGroup("main", ["nexus-1", second, `${witnessBox}:Witness`], "nexus-1");
const root = (spec: string) => zone("root", "/**", spec);
const shared = "mode: strong_ha, raftGroup: main";

const applied =
  ({ federation }: World, yaml: string): Deed =>
  async () =>
    (await federation.apply(yaml)).code === 0;

/** A third box beside the two, and what else is declared. */
const withThird = (...declared: string[]): Preparation => ({
  boxes: [...dataBoxes, third, witnessBox],
  yaml: documents(
    ...[...dataBoxes, third].map((name) => boxYaml(name)),
    witness(witnessBox),
    members(dataBoxes[1]),
    ...declared,
    root(shared),
  ),
});

/** Where the zone stands, one after the other: two groups, and each of two boxes alone. */
const stands = [
  root("mode: strong_ha, raftGroup: other"),
  root("mode: strong, authorityBox: nexus-1"),
  root("mode: strong, authorityBox: nexus-3"),
  root(shared),
];

const kinds: DeedKind[] = [
  {
    name: "deed-transfer",
    about: "leadership is handed over",
    async next({ federation }) {
      const to = otherThan(await federation.leader());
      return async () =>
        (await federation.group()).leader === to || (await federation.nexus(["switchover", "root", to])).code === 0;
    },
  },
  {
    name: "deed-members",
    about: "a full member is replaced by another box",
    preparation: withThird(),
    async next(world, round) {
      return applied(world, members(round % 2 === 0 ? third : dataBoxes[1]));
    },
  },
  {
    name: "deed-move",
    about: "the zone moves to another group, or to another box alone,",
    preparation: withThird(group("other", [dataBoxes[1], third, `${witnessBox}:Witness`])),
    async next(world, round) {
      return applied(world, stands[round % stands.length]!);
    },
  },
  {
    name: "deed-mode",
    about: "the zone's mode changes between strong_ha and strong",
    async next(world, round) {
      return applied(world, root(round % 2 === 0 ? "mode: strong, authorityBox: nexus-1" : shared));
    },
  },
  {
    name: "deed-rules",
    about: "paths of the next round go to zones of their own, those of the last come back",
    async next(world, round) {
      const zones = (of: number) =>
        ["registers", "counters", "batches"].map((kind) =>
          zone(`${kind}-${of}`, `/deed-rules/${kind}/${of}.0/**`, shared),
        );
      const declared = applied(world, documents(...zones(round + 1)));
      const file = world.federation.file("last.yaml", documents(...zones(round - 1)));
      const retired = async () => (await world.federation.nexus(["delete", "-f", file, "--wait", "60s"])).code === 0;
      return async () => (await declared()) && (round < 2 || (await retired()));
    },
  },
];

/** Loses one box in one of three ways. */
async function lose(world: World, boxes: readonly string[]): Promise<Mend> {
  const { federation, network, random } = world;
  const name = pick(random, boxes);
  const { pid } = await federation.box(name);
  const how = pick(random, ["kill", "stop", "cut"] as const);
  if (how === "kill") {
    process.kill(pid, "SIGKILL");
    return () => federation.restarted(name, pid);
  }
  if (how === "cut" && typeof network !== "string") {
    network.split([name], network.everyoneBut(name));
    return async () => network.heal();
  }
  federation.freezePid(pid);
  return async () => federation.thaw(pid);
}

function strikeOf({ name, about, preparation = {}, next }: DeedKind): Strike {
  let round = 0;
  return {
    name,
    about: `${about} while a box is killed, stopped or cut off`,
    prepare: () => preparation,
    async strike(world) {
      const deed = await next(world, round++);
      const first = deed().catch(() => false);
      await pause(world.random.unit() * harmAfterMsMax);
      const mend = await lose(world, preparation.boxes ?? [...dataBoxes, witnessBox]);
      return async () => {
        await mend();
        if (!(await first)) await until(`${name} is done`, deed, deedMsMax);
      };
    },
  };
}

export const deeds: Strike[] = kinds.map(strikeOf);
