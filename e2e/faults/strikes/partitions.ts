import type { Partitions } from "../../harness/partitions.ts";
import { boxes, pick, type World, witnessBox } from "../scenario.ts";
import type { Strike } from "./strike.ts";

function partition(
  name: string,
  about: string,
  cut: (world: World, network: Partitions) => Promise<void> | void,
): Strike {
  return {
    name: `partition-${name}`,
    about,
    async strike(world) {
      const { network } = world;
      if (typeof network === "string") return network;
      await cut(world, network);
      return async () => network.heal();
    },
  };
}

const but = (name: string) => boxes.filter((box) => box !== name);

export const partitions: Strike[] = [
  partition("full", "one box cut off from everybody, clients too", ({ random }, network) => {
    const box = pick(random, boxes);
    network.split([box], network.everyoneBut(box));
  }),
  partition("one-way", "one or two directions between boxes lose everything", ({ random }, network) => {
    for (let i = 0; i < 2; i++) {
      const from = pick(random, boxes);
      network.cut(from, pick(random, but(from)));
    }
  }),
  partition("leader", "the leader cut off from the other boxes; clients reach it", async ({ federation }, network) => {
    const leader = await federation.leader();
    network.split([leader], but(leader));
  }),
  partition("witness", "the witness cut off from the other boxes", (_, network) => {
    network.split([witnessBox], but(witnessBox));
  }),
];
