// Set-up of `make e2e`, once for all scenario files: a cluster with the product's images in it.
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import type { TestProject } from "vitest/node";
import { type ImageName, makeImages } from "../../images/make.ts";
import { chooseProvider } from "./choose.ts";
import type { Cluster, ClusterFacts } from "./cluster.ts";

export interface ClusterContext extends ClusterFacts {
  /** Names with tag of the product's images, loaded on every node. */
  images: Record<ImageName, string>;
}

declare module "vitest" {
  interface ProvidedContext {
    /** Undefined: no cluster can be had here, and the run was told that this is no failure (NEXUS_E2E_OPTIONAL). */
    cluster: ClusterContext | undefined;
  }
}

const tag = "e2e";
const images = { node: `nexus-node:${tag}`, witness: `nexus-witness:${tag}`, operator: `nexus-operator:${tag}` };

/** A cluster that is up, or `none` is told why there is none. */
async function clusterOr(none: (why: string) => void): Promise<Cluster | undefined> {
  const provider = await chooseProvider();
  if (typeof provider === "string") {
    none(provider);
    return undefined;
  }
  try {
    return await provider.up({ name: "suite", nodes: Number(process.env["NEXUS_E2E_NODES"] ?? 3) });
  } catch (error) {
    none(messageOf(error));
    return undefined;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = performance.now();
  const say = (what: string) => console.log(`${what} after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const cluster = await clusterOr((why) => {
    if (!process.env["NEXUS_E2E_OPTIONAL"]) throw new Error(`no cluster can be had here: ${why}`);
    console.warn(`SKIPPED: scenarios on a cluster: ${why}`);
  });
  if (cluster === undefined) {
    project.provide("cluster", undefined);
    return async () => undefined;
  }
  say(`${cluster.facts.provider} cluster ready`);
  try {
    if (!process.env["NEXUS_E2E_IMAGES_LOADED"]) await cluster.loadImages(await makeImages({ tag }));
    say("images built and loaded");
  } catch (error) {
    await cluster.down();
    throw error;
  }
  project.provide("cluster", { ...cluster.facts, images });
  return () => cluster.down();
}
