import type { Scenario } from "../scenario.ts";
import { failovers } from "./failover.ts";

/** In the order in which they are run. */
export const scenarios: Scenario[] = [...failovers];
