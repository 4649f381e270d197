import { afterAll, beforeAll } from "vitest";
import type { Cluster } from "../../cluster/cluster.ts";
import type { ClusterContext } from "../../cluster/suite.ts";
import { Federation, installOperator } from "./operator.ts";
import type { LoadUse } from "./scenario.ts";

export interface World {
  readonly cluster: Cluster;
  readonly federation: Federation;
  /** For loads: the product's image, on the node of the control plane, which no scenario stops. */
  readonly use: LoadUse;
}

/** Installs the operator and a federation before the tests of the suite it is called in, and removes the latter after them. */
export function worldOf(context: ClusterContext | undefined, namespace: string, example?: string): World {
  const world = { use: { image: "", node: "node1" } } as { -readonly [Key in keyof World]: World[Key] };
  beforeAll(async () => {
    world.cluster = await installOperator(context!);
    world.use.image = context!.images.operator;
    world.federation = await Federation.apply(world.cluster, namespace, example);
    await world.federation.settled();
  });
  afterAll(() => world.federation?.remove());
  return world;
}
