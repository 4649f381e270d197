import type { Operation } from "@nexus-federation/proto/command.ts";
import type { Clock } from "../base/clock.ts";
import type { Groups } from "../group/api.ts";
import type { Done, ZoneCall, ZoneEngine, ZoneRead } from "./engine.ts";
import { Feeds } from "./feed.ts";
import { LogStates } from "./log-state.ts";
import { Mutations } from "./mutations.ts";
import type { Places, ZoneStates } from "./ports.ts";
import { Reads } from "./reads.ts";
import { LockWaits } from "./waits.ts";

export interface LogEngineNeeds {
  groups: Groups;
  states: ZoneStates;
  places: Places;
  clock: Clock;
}

/** strong, strong_ha and eventual with one authority: a Raft log behind the zone. */
export class LogEngine implements ZoneEngine {
  readonly logs: LogStates;
  readonly #mutations: Mutations;
  readonly #reads: Reads;

  constructor(needs: LogEngineNeeds) {
    this.logs = new LogStates(needs.groups, needs.clock);
    const waits = new LockWaits(needs);
    const feeds = new Feeds(needs.groups, needs.clock);
    this.#mutations = new Mutations({ ...needs, logs: this.logs, waits });
    this.#reads = new Reads({ ...needs, logs: this.logs, feeds });
  }

  mutate(call: ZoneCall, operation: Operation, done: Done): void {
    this.#mutations.mutate(call, operation, done);
  }
  read(call: ZoneCall, read: ZoneRead, done: Done): void {
    this.#reads.read(call, read, done);
  }
}
