import type { Scenario } from "../scenario.ts";
import { certificates } from "../strikes/certificates.ts";
import { clockJumps } from "../strikes/clocks.ts";
import { corruption } from "../strikes/corruption.ts";
import { deeds } from "../strikes/deeds.ts";
import { fullDisk, slowDisk } from "../strikes/disks.ts";
import { oddStrikes } from "../strikes/odd.ts";
import { partitions } from "../strikes/partitions.ts";
import { kill, stop } from "../strikes/processes.ts";
import { togetherStrikes } from "../strikes/together.ts";
import { elections } from "./elections.ts";
import { failovers } from "./failover.ts";
import { historyScenario } from "./histories.ts";
import { idleConnections } from "./idle-connections.ts";
import { soak } from "./soak.ts";
import { switchovers } from "./switchover.ts";

/** In the order in which they are run. */
export const scenarios: Scenario[] = [
  ...failovers,
  ...switchovers,
  elections,
  idleConnections,
  ...[
    kill,
    stop,
    ...partitions,
    fullDisk,
    slowDisk(),
    corruption,
    clockJumps,
    certificates,
    ...deeds,
    ...oddStrikes,
    ...togetherStrikes,
  ].map(historyScenario),
  soak,
];
