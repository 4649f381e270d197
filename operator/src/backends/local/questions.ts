import type { Clock } from "@nexus-federation/node/base/clock.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Desired } from "../../planner/desired.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import type { Admin } from "../shared/admin.ts";
import { askStatuses } from "../shared/statuses.ts";
import { WitnessPulse } from "./witness-pulse.ts";

/** What the running boxes say of themselves, and why some say nothing. */
export class Questions {
  readonly #admin: Pick<Admin, "status" | "greet">;
  readonly #pulse: WitnessPulse;
  /** Of data boxes, in the last round. */
  #silent: ReadonlyMap<string, string> = new Map();
  #replies: ReadonlyMap<string, StatusReply> = new Map();

  constructor(admin: Pick<Admin, "status" | "greet">, clock: Clock) {
    this.#admin = admin;
    this.#pulse = new WitnessPulse(clock, ({ box, endpoint }) => admin.greet(box, endpoint));
  }

  /** Of the last round. */
  get replies(): ReadonlyMap<string, StatusReply> {
    return this.#replies;
  }

  /** Why a running box or witness did not answer last. */
  get silent(): ReadonlyMap<string, string> {
    return new Map([...this.#silent, ...this.#pulse.silent]);
  }

  /** Asks every running data box at once; witnesses are greeted beside. */
  async ask(desired: Desired, workloads: ReadonlyMap<string, ObservedWorkload>): Promise<void> {
    const running = [...workloads].filter(
      ([box, each]) => each.running && desired.boxes.get(box)?.role === "Witness" && each.peerEndpoint !== "",
    );
    this.#pulse.look(
      running.map(([box, { adminEndpoint, peerEndpoint }]) => ({ box, endpoint: adminEndpoint ?? peerEndpoint })),
    );
    const replies = new Map<string, StatusReply>();
    const silent = new Map<string, string>();
    for (const [box, reply] of await askStatuses(this.#admin, desired, workloads)) {
      if (typeof reply === "string") silent.set(box, reply);
      else replies.set(box, reply);
    }
    this.#replies = replies;
    this.#silent = silent;
  }
}
