// Ports of the boxes, kept in the folder so that a restarted box is where it was. The first data box takes the default
// ports when they are free; the others any free ones below the range from which systems draw outgoing ports.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Random } from "@nexus-federation/node/base/clock.ts";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { writePrivate } from "./folder.ts";

export interface BoxPorts {
  peer: number;
  /** 0 for a witness. */
  client: number;
}

const defaultClientPort = 2026;
const defaultPeerPort = 2027;
const rangeFrom = 20_260;
const rangeTo = 31_000;
const triesMax = 200;

export const loopback = "127.0.0.1";

export class Ports {
  readonly #path: string;
  readonly #random: Random;
  readonly #boxes: Map<string, BoxPorts>;

  constructor(path: string, random: Random) {
    this.#path = path;
    this.#random = random;
    const kept = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Record<string, BoxPorts>) : {};
    this.#boxes = new Map(Object.entries(kept));
  }

  of(box: string): BoxPorts | undefined {
    return this.#boxes.get(box);
  }

  /** The kept ports, or new ones that are free now. */
  async ensure(box: string, role: "Data" | "Witness"): Promise<BoxPorts> {
    const kept = this.#boxes.get(box);
    if (kept) return kept;
    return this.#keep(box, await this.#choose(role));
  }

  /** Other ports for a box that never came up because somebody else took its own; false when they are free. */
  async replaceTaken(box: string, role: "Data" | "Witness"): Promise<boolean> {
    const kept = this.#boxes.get(box);
    if (!kept) return false;
    const free = (await isFree(kept.peer)) && (kept.client === 0 || (await isFree(kept.client)));
    if (free) return false;
    this.#keep(box, { peer: await this.#free(), client: role === "Data" ? await this.#free() : 0 });
    return true;
  }

  #keep(box: string, ports: BoxPorts): BoxPorts {
    this.#boxes.set(box, ports);
    writePrivate(this.#path, `${JSON.stringify(Object.fromEntries(this.#boxes), null, 2)}\n`);
    return ports;
  }

  async #choose(role: "Data" | "Witness"): Promise<BoxPorts> {
    if (role === "Witness") return { peer: await this.#free(), client: 0 };
    const first = ![...this.#boxes.values()].some((ports) => ports.client !== 0);
    if (first && (await isFree(defaultClientPort)) && (await isFree(defaultPeerPort)))
      return { peer: defaultPeerPort, client: defaultClientPort };
    const client = await this.#free();
    return { client, peer: await this.#free(client) };
  }

  async #free(other = 0): Promise<number> {
    const taken = new Set([other, ...[...this.#boxes.values()].flatMap((ports) => [ports.peer, ports.client])]);
    for (let attempt = 0; attempt < triesMax; attempt++) {
      const port = rangeFrom + Math.floor(this.#random.unit() * (rangeTo - rangeFrom));
      if (!taken.has(port) && (await isFree(port))) return port;
    }
    throw new NexusError(
      "OVERLOADED",
      `no free port was found between ${rangeFrom} and ${rangeTo} in ${triesMax} tries`,
    );
  }
}

/** Whether a listener could be opened on loopback now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: loopback, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
