import { Federation } from "../harness/federation.ts";
import { Network } from "../harness/network.ts";
import type { Partitions } from "../harness/partitions.ts";
import { Proxies } from "../harness/proxies.ts";
import { until } from "../harness/run.ts";
import { boxes, type Run, type World } from "./scenario.ts";

/** What a scenario prepares before the boxes start. */
export interface Preparation {
  /** Instead of examples/quickstart.yaml. */
  yaml?: string;
  /** All that it declares. Default: two data boxes and a witness. */
  boxes?: readonly string[];
  /** Proxies also where there are namespaces. */
  proxies?: boolean;
  /** Put before the command line of each box; it must become that command. */
  command?: (box: string, federation: Federation) => string[];
  /** When the folder is there and nothing runs. */
  before?: (federation: Federation) => unknown;
}

/** Two data boxes and a witness, unless the preparation says otherwise. */
export async function openWorld(run: Run, preparation: Preparation = {}): Promise<World> {
  const network = networkFor(run.proxies || preparation.proxies === true);
  const federation = await Federation.up({
    ...(preparation.yaml === undefined ? { example: "quickstart.yaml" } : { yaml: preparation.yaml }),
    before: async (made) => {
      for (const box of preparation.boxes ?? boxes) {
        const more = preparation.command?.(box, made) ?? [];
        if (typeof network !== "string") {
          const { host, command } = network.place(box);
          made.places.set(box, { host, command: [...command, ...more] });
        } else if (more.length > 0) made.places.set(box, { host: "127.0.0.1", command: more });
      }
      if (typeof network !== "string") {
        made.atEnd(() => network.close());
        await network.ready(made.folder.ports);
      }
      await preparation.before?.(made);
    },
  }).catch((error) => {
    if (typeof network !== "string") network.close();
    throw error;
  });
  return { federation, network, random: run.random };
}

/** Namespaces lose packets as networks do; proxies need no root. */
function networkFor(proxies: boolean): Partitions | string {
  const network = proxies ? "" : Network.open();
  return typeof network === "string" ? Proxies.open() : network;
}

const wholeMsMax = 90_000;

/**
 * Every copy of the zone is whole, in PAIR, as its leader says it after this call began: the supervisor's word may be a
 * second old, and a leader that is struck while it is SOLO stops the zone by design.
 */
export async function wholeAgain({ federation }: World, zone = "root"): Promise<void> {
  const client = federation.client();
  try {
    // A disk that was full a moment ago refuses for another one.
    const put = () => client.put("/whole", "x", { timeoutMs: wholeMsMax });
    const { receipt } = await until("a write is taken", put, wholeMsMax);
    const isNew = async () => {
      const group = await federation.group(zone);
      const whole = group.mode !== "SOLO" && !group.joint && group.members.every((one) => one.state === "CaughtUp");
      if (group.leader !== "" && group.commit >= receipt.index && whole) return true;
      throw new Error(JSON.stringify({ index: receipt.index, group }));
    };
    await until(`every copy of ${zone} is whole`, isNew, wholeMsMax);
  } finally {
    client.close();
  }
}

/** Ends it whatever happened; what had to be killed is wrong. */
export async function closeWorld(world: World, wrong: string[]): Promise<void> {
  if (typeof world.network !== "string") world.network.heal();
  const left = await world.federation.down();
  if (left.length > 0) wrong.push(`${left.length} processes did not end by themselves`);
}
