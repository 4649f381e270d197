import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Desired } from "../../planner/desired.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import type { Admin } from "./admin.ts";

/** Status of every running data box, asked at once; the reason, as a text, of one that does not answer in time. */
export function askStatuses(
  admin: Pick<Admin, "status">,
  desired: Desired,
  workloads: ReadonlyMap<string, ObservedWorkload>,
): Promise<[box: string, status: StatusReply | string][]> {
  const running = [...workloads].filter(
    ([box, workload]) => workload.running && desired.boxes.get(box)?.role !== "Witness",
  );
  return Promise.all(
    running.map(
      async ([box, { adminEndpoint, peerEndpoint }]): Promise<[string, StatusReply | string]> => [
        box,
        await admin.status(box, adminEndpoint ?? peerEndpoint),
      ],
    ),
  );
}
