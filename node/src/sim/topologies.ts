import type { Draw } from "./draw.ts";
import type { Topology } from "./template.ts";

const pair = ["a", "b", "w"];
const trio = ["a", "b", "c"];
const main = (members: string[]) => ({ zone: "main", pattern: "/**", mode: "strong_ha", members });

/** Two full members and a witness: what most federations are. */
export const pairOnly: Topology = { boxes: pair, system: pair, zones: [main(pair)], extra: [] };
export const trioOnly: Topology = { boxes: trio, system: trio, zones: [main(trio)], extra: [] };
/** A pair with boxes to change to; the system zone is out of the way. */
export const spares: Topology = {
  boxes: ["a", "b", "c", "w", "wx"],
  system: ["c"],
  zones: [main(pair)],
  extra: [],
};
/** Three voters and a learner that is as fast as they are. */
export const learning: Topology = {
  boxes: ["a", "b", "c", "d"],
  system: ["d"],
  zones: [main(["a", "b", "c", "d:learner"])],
  extra: [],
};
/** A pair and a learner, which a lost member could be mistaken for. */
export const pairLearning: Topology = {
  boxes: ["a", "b", "c", "w"],
  system: ["c"],
  zones: [main(["a", "b", "w", "c:learner"])],
  extra: [],
};
/** A zone that another log takes a subtree from. */
export function ceding(draw: Draw): Topology {
  const system = draw.of([["c"], pair]);
  return { boxes: [...trio, "w"], system, zones: [main(pair)], extra: draw.of([["c"], ["a"]]) };
}

/** Everything at once. */
export function wide(draw: Draw): Topology {
  const zones = [main(draw.chance(0.7) ? pair : trio)];
  const side = draw.unit();
  if (side < 0.3) zones.push({ zone: "side", pattern: "/s/**", mode: "strong", members: ["c"] });
  else if (side < 0.5) zones.push({ zone: "side", pattern: "/s/**", mode: "eventual", members: ["b", "a:learner"] });
  const system = draw.chance(0.6) ? pair : trio;
  return { boxes: [...trio, "w", "wx"], system, zones, extra: draw.of([["c"], ["b"]]) };
}

/** Members that the main zone may be asked to have. */
export function membershipsOf({ boxes }: Topology): string[][] {
  if (boxes.includes("wx"))
    return [pair, ["a", "c", "w"], ["b", "c", "w"], ["a", "b", "wx"], trio, ["a"], ["b"], ["a", "b", "w", "c:learner"]];
  if (boxes.includes("d"))
    return [trio, ["a", "b", "d"], ["b", "c", "d"], ["a", "b", "c", "d"], ["a", "b", "c:learner"]];
  if (boxes.includes("w") && boxes.includes("c")) return [pair, ["a", "c", "w"], trio, ["a", "b", "w", "c:learner"]];
  return boxes.includes("w") ? [pair, ["a"], ["b"]] : [trio, ["a", "b", "c:learner"], ["a"]];
}
