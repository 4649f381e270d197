import type { Clock } from "../base/clock.ts";
import type { Effect } from "../machine/api.ts";
import type { Message } from "../raft/messages.ts";
import type { DurableLog, States } from "./ports.ts";
import type { Replica } from "./replica.ts";

/** What a turn asks of the host around it. */
export interface TurnHooks {
  /** Messages that arrived go to their replicas. */
  deliver(): void;
  /** One tick of the core's clock. After `deliver`, so that a blocked loop hears its leaders before it counts time. */
  tick(): void;
  /** A message for another box. */
  route(replica: Replica, message: Message): void;
  /** What was routed leaves. */
  sendAll(): void;
  leadership(replica: Replica): void;
  applied(replica: Replica, events: number): void;
  effect(replica: Replica, effect: Effect): void;
  membership(replica: Replica): void;
  fatal(error: unknown): void;
}

export interface TurnNeeds {
  clock: Clock;
  log: DurableLog;
  states: States;
  applyTook?: ((seconds: number) => void) | undefined;
}

export interface TurnSettings {
  tickMs: number;
  appendsMax: number;
}
