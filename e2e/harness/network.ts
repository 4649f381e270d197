// A network of our own for the boxes of one federation. Why not firewall rules on loopback: all boxes would share one
// address, and one-way loss could not be told. The sketch: each box in its own network namespace, a veth pair each, one
// bridge that leads nowhere else (in a namespace too, where no firewall of the machine sees it); who is cut off from
// whom gets a wrong hardware address for it, so that packets leave and arrive nowhere, in that direction only,
// connections in use included. Needs root and iproute2, nothing else.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { outside, type Partitions } from "./partitions.ts";
import { isAlive } from "./run.ts";

const nowhere = "02:00:00:00:de:ad";
/** Of 198.18.0.0/15, which is set aside for tests of networks: 198.18.N.0/24 is ours when nobody has it. */
const subnetsMax = 250;
const outsideHost = 254;

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export class Network implements Partitions {
  readonly #name: string;
  readonly #subnet: string;
  /** Last byte of the address of each. */
  readonly #hosts = new Map<string, number>([[outside, outsideHost]]);
  readonly #cuts = new Set<string>();

  private constructor(name: string, subnet: string) {
    this.#name = name;
    this.#subnet = subnet;
  }

  /** The reason, as a sentence, when this machine does not let us make namespaces. */
  static open(): Network | string {
    if (process.getuid?.() !== 0) return "network namespaces need root";
    try {
      sweep();
      const taken = ip("-4", "-o", "addr");
      for (let n = process.pid % subnetsMax, tries = 0; tries < subnetsMax; n = (n + 1) % subnetsMax, tries++) {
        const subnet = `198.18.${n}`;
        if (taken.includes(`${subnet}.`)) continue;
        const network = new Network(`nx${process.pid}-${n}`, subnet);
        network.#makeHub();
        return network;
      }
      return "every subnet of 198.18.0.0/16 is in use here";
    } catch (error) {
      return `no network namespaces can be made here (${String((error as Error).message).trim()})`;
    }
  }

  place(box: string): { host: string; command: string[] } {
    let host = this.#hosts.get(box);
    if (host === undefined) {
      host = this.#hosts.size;
      this.#hosts.set(box, host);
      this.#add(box, host);
    }
    return { host: this.#address(box), command: ["nsenter", `--net=/run/netns/${this.#namespace(box)}`, "--"] };
  }

  #makeHub(): void {
    const hub = this.#namespace("hub");
    ip("netns", "add", hub);
    ip("-n", hub, "link", "add", "bridge", "type", "bridge");
    ip("-n", hub, "link", "set", "bridge", "up");
    ip("link", "add", this.#name, "type", "veth", "peer", "name", "outside", "netns", hub);
    ip("-n", hub, "link", "set", "outside", "master", "bridge", "up");
    ip("addr", "add", `${this.#address(outside)}/24`, "dev", this.#name);
    ip("link", "set", this.#name, "up");
  }

  #add(box: string, host: number): void {
    const [namespace, hub] = [this.#namespace(box), this.#namespace("hub")];
    ip("netns", "add", namespace);
    ip("-n", hub, "link", "add", `box${host}`, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    ip("-n", hub, "link", "set", `box${host}`, "master", "bridge", "up");
    ip("-n", namespace, "addr", "add", `${this.#address(box)}/24`, "dev", "eth0");
    ip("-n", namespace, "link", "set", "eth0", "up");
    ip("-n", namespace, "link", "set", "lo", "up");
  }

  async ready(): Promise<void> {}

  everyoneBut(name: string): string[] {
    return [...this.#hosts.keys()].filter((each) => each !== name);
  }

  cut(from: string, to: string): void {
    if (this.#cuts.has(`${from} ${to}`)) return;
    this.#neighbour(from, "replace", to, ["lladdr", nowhere, "nud", "permanent"]);
    this.#cuts.add(`${from} ${to}`);
  }

  split(some: readonly string[], others: readonly string[]): void {
    for (const one of some) {
      for (const other of others) {
        this.cut(one, other);
        this.cut(other, one);
      }
    }
  }

  heal(): void {
    for (const cut of this.#cuts) {
      const [from = "", to = ""] = cut.split(" ");
      this.#neighbour(from, "del", to, []);
    }
    this.#cuts.clear();
  }

  /** The links go with their namespaces. */
  close(): void {
    for (const box of [...this.#hosts.keys(), "hub"]) {
      if (box !== outside) quietly("netns", "del", this.#namespace(box));
    }
    quietly("link", "del", this.#name);
  }

  #neighbour(from: string, verb: "replace" | "del", to: string, more: string[]): void {
    const where = from === outside ? [] : ["-n", this.#namespace(from)];
    ip(...where, "neigh", verb, this.#address(to), "dev", from === outside ? this.#name : "eth0", ...more);
  }

  #namespace(box: string): string {
    return `${this.#name}-${box}`;
  }

  #address(box: string): string {
    return `${this.#subnet}.${this.#hosts.get(box)}`;
  }
}

function quietly(...args: string[]): void {
  try {
    ip(...args);
  } catch {
    // It went with what it was tied to.
  }
}

/** Removes what a run that was killed left. */
function sweep(): void {
  const owner = (name: string) => Number(/^nx(\d+)-/.exec(name)?.[1] ?? process.pid);
  for (const name of list("/run/netns")) if (!isAlive(owner(name))) quietly("netns", "del", name);
  for (const name of list("/sys/class/net")) if (!isAlive(owner(name))) quietly("link", "del", name);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
