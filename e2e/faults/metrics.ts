// What the boxes say of themselves.
import type { Federation } from "../harness/federation.ts";
import { Http } from "../harness/http.ts";
import { dataBoxes } from "./scenario.ts";

export interface Sample {
  /** Candidacies since each box started, all logs, both boxes. */
  elections: number;
  /** Longest delay of an event loop in the last window, both boxes. */
  loopDelayMs: number;
}

export async function sampleOf(federation: Federation): Promise<Sample> {
  const pages = await Promise.all(
    dataBoxes.map(async (box) => {
      const http = new Http(federation, (await federation.box(box)).grpc);
      return (await http.ask("GET", "/metrics")).body.toString();
    }),
  );
  const values = (page: string, name: string, label = "") =>
    page
      .split("\n")
      .filter((line) => line.startsWith(name) && line.includes(label))
      .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
  return {
    elections: pages.flatMap((page) => values(page, "nexus_raft_election_count")).reduce((sum, each) => sum + each, 0),
    loopDelayMs:
      1000 * Math.max(...pages.flatMap((page) => values(page, "nexus_event_loop_delay_seconds", 'quantile="1"'))),
  };
}
