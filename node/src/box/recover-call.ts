import type { AdminReply, RecoverRequest } from "@nexus-federation/proto/admin.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { Groups, GroupView } from "../group/api.ts";
import { doneReply, refusedReply } from "./admin-replies.ts";

/** Name of a log for good: another zone made under the same name has another. */
export function uidOf(view: GroupView): string {
  return `${view.config.federationUid}-${view.log}`;
}

/** Goes on without the quorum of a zone's log from the copy of this box. `detail` says what may be lost. */
export async function recoverLog(groups: Groups, request: RecoverRequest): Promise<AdminReply> {
  const view = viewOfZone(groups, request);
  if (isRefusal(view)) return refusedReply(view);
  const { epoch, abandoned, acceptDataLoss } = request;
  const { log } = view;
  const done = await groups.recover({ log, epoch, abandoned, acceptDataLoss });
  if (isRefusal(done)) return refusedReply(done);
  const detail = `goes on from entry ${done.lastIndex}; what only the abandoned members held after it is lost`;
  return doneReply({ log, epoch, detail });
}

function viewOfZone(groups: Groups, { zone, uid }: RecoverRequest): GroupView | Refusal {
  const views = groups.logs().flatMap((log) => groups.view(log) ?? []);
  const here = views.filter((view) => view.zone === zone);
  const view = here.find((one) => uidOf(one) === uid);
  if (view !== undefined) return view;
  const known = here.map(uidOf).join(", ");
  const text =
    known === "" ? `this box has no copy of zone ${zone}` : `uid: zone ${zone} is ${known} here, ${uid} came`;
  return refuse("PRECONDITION_FAILED", text);
}
