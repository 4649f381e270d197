// Whether a federation that is settled also answers: asked as a client asks, of every box, for every zone.
import { readFileSync } from "node:fs";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { NexusClient } from "@nexus-federation/node/client/client.ts";
import type { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import type { LocalStatus } from "@nexus-federation/operator/backends/local/status.ts";
import { contextSchema } from "./context.ts";

/** One question, and the pause before it is asked again, ms. */
const askMs = 2_000;
const pauseMs = 100;
/** A settled federation that does not answer for so long is not going to by waiting, ms. */
const longestMs = 20_000;
/** After a start a log that was written on one box alone has its second copy within this; else a member is missing, ms. */
const wholeMs = 10_000;

/** Undefined once every box that answers has the rules and serves each ready zone; else what does not when the time is over. */
export async function untilServing(
  folder: Folder,
  status: LocalStatus,
  limits: { until: number; stopped?: () => boolean },
): Promise<string | undefined> {
  const until = Math.min(limits.until, performance.now() + longestMs);
  const settings = contextSchema.parse(JSON.parse(readFileSync(folder.context, "utf8")));
  const boxes = status.boxes.filter((box) => box.running && box.grpc !== "" && box.state !== "starting");
  const late = await Promise.all(
    boxes.map(async ({ name, grpc }) => {
      const client = new NexusClient({ ...settings, endpoints: [grpc], timeoutMs: askMs });
      try {
        for (;;) {
          const problem = await problemOf(client, status);
          if (problem === undefined || limits.stopped?.()) return undefined;
          if (performance.now() >= until) return `${name} does not serve everything yet: ${problem}`;
          await new Promise((go) => setTimeout(go, pauseMs));
        }
      } finally {
        client.close();
      }
    }),
  );
  return late.find((text) => text !== undefined);
}

/** The status once no log is in SOLO, or as it is when waiting does not help. */
export async function untilWhole(
  look: () => Promise<LocalStatus>,
  limits: { until: number; stopped?: () => boolean },
): Promise<LocalStatus> {
  const until = Math.min(limits.until, performance.now() + wholeMs);
  for (;;) {
    const status = await look();
    const mends = status.groups.some(({ mode }) => mode === "SOLO") && status.boxes.every(({ running }) => running);
    if (!mends || limits.stopped?.() || performance.now() >= until) return status;
    await new Promise((go) => setTimeout(go, pauseMs));
  }
}

async function problemOf(client: NexusClient, status: LocalStatus): Promise<string | undefined> {
  try {
    const { epoch } = await client.hello();
    if (epoch < status.epoch) return `it has the rules of epoch ${epoch}, ${status.epoch} is in force`;
    for (const zone of status.zones) if (zone.ready) await client.stat("/", { zone: zone.name });
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
