// The boxes of a local federation as processes: ports, certificates, configuration, supervision.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Random, Timer } from "@nexus-federation/node/base/clock.ts";
import type { Desired } from "../../planner/desired.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import { Child, type ChildView, childDefaults } from "./child.ts";
import type { Folder } from "./folder.ts";
import type { Identities } from "./identities.ts";
import { Ports } from "./ports.ts";
import { type ProgramSettings, Programs } from "./programs.ts";
import { rotate } from "./rotate.ts";

const rotateEveryMs = 5000;
/** In the folder of a box that has joined: the rule map as it last knew it. */
const mapFile = "map";

export interface FleetNeeds {
  clock: Clock;
  random: Random;
  folder: Folder;
  identities: Identities;
  /** A process started or ended: look again. */
  changed: (box: string, view: ChildView) => void;
}

/** The boxes of a federation as its runtime needs them. */
export interface Boxes {
  readonly views: ReadonlyMap<string, ChildView>;
  readonly workloads: ReadonlyMap<string, ObservedWorkload>;
  /** It answered. */
  confirm(box: string): void;
  /** Starts or adopts the box. Idempotent. */
  ensure(box: string, desired: Desired): Promise<void>;
  remove(box: string): Promise<void>;
  stop(): Promise<void>;
}

export class Fleet implements Boxes {
  readonly #needs: FleetNeeds;
  readonly #detached: boolean;
  readonly #programs: Programs;
  readonly #ports: Ports;
  readonly #children = new Map<string, Child>();
  /** Boxes that answered once: their ports are known to others and stay. */
  readonly #confirmed = new Set<string>();
  #rotation: Timer | undefined;

  constructor(needs: FleetNeeds, settings: ProgramSettings) {
    this.#needs = needs;
    this.#detached = settings.detached;
    this.#programs = new Programs(needs.folder, settings);
    this.#ports = new Ports(needs.folder.ports, needs.random);
    this.#rotateLater();
  }

  get views(): Map<string, ChildView> {
    return new Map([...this.#children].map(([name, child]) => [name, child.view]));
  }

  get workloads(): Map<string, ObservedWorkload> {
    return new Map(
      [...this.#children].map(([name, child]) => {
        const { peer, client } = this.#ports.of(name) ?? { peer: 0, client: 0 };
        const endpoint = (port: number) => (port === 0 ? "" : `${this.#programs.hostOf(name)}:${port}`);
        return [
          name,
          { exists: true, running: child.view.running, peerEndpoint: endpoint(peer), clientEndpoint: endpoint(client) },
        ];
      }),
    );
  }

  confirm(box: string): void {
    this.#confirmed.add(box);
  }

  /** Starts or adopts the box. Idempotent. */
  async ensure(box: string, desired: Desired): Promise<void> {
    if (this.#children.has(box)) return;
    for (const each of desired.boxes.values()) await this.#ports.ensure(each.name, each.role);
    const spec = await this.#prepare(box, desired);
    const { clock, random, changed } = this.#needs;
    const exited = async (view: ChildView) => {
      changed(box, view);
      const role = desired.boxes.get(box)!.role;
      if (!this.#confirmed.has(box) && (await this.#ports.replaceTaken(box, role))) {
        await this.#prepare(box, desired);
        await this.#tellOthers(box, desired);
      }
    };
    const child = new Child(spec, { clock, random, exited }, { ...childDefaults, detached: this.#detached });
    this.#children.set(box, child);
    child.start();
    changed(box, child.view);
  }

  /** Boxes with a map hear of the new ports from the system zone; those without know only their configuration. */
  async #tellOthers(moved: string, desired: Desired): Promise<void> {
    for (const [name, child] of this.#children) {
      const box = desired.boxes.get(name);
      if (name === moved || !box) continue;
      await this.#prepare(name, desired);
      if (box.role === "Data" && !existsSync(join(this.#needs.folder.box(name), mapFile))) child.restart();
    }
  }

  async #prepare(name: string, desired: Desired) {
    const { folder, identities, clock } = this.#needs;
    const { role, region, cluster } = desired.boxes.get(name)!;
    mkdirSync(folder.box(name), { recursive: true, mode: 0o700 });
    const ports = await this.#ports.ensure(name, role);
    const certificates = await identities.box(name, clock.wallMs());
    const peers = [...desired.boxes.keys()]
      .filter((each) => each !== name)
      .map((each) => ({ box: each, endpoint: `${this.#programs.hostOf(each)}:${this.#ports.of(each)!.peer}` }));
    return this.#programs.prepare({ name, role, region, cluster, ports, certificates, peers });
  }

  async remove(box: string): Promise<void> {
    await this.#children.get(box)?.stop();
    this.#children.delete(box);
  }

  /** Stops every process; bounded by the grace of a child. */
  async stop(): Promise<void> {
    this.#rotation?.cancel();
    await Promise.all([...this.#children.values()].map((child) => child.stop()));
  }

  #rotateLater(): void {
    this.#rotation = this.#needs.clock.after(rotateEveryMs, () => {
      for (const name of this.#children.keys()) rotate(this.#needs.folder.log(name));
      this.#rotateLater();
    });
  }
}
