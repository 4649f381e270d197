import { podName } from "../backends/kubernetes/names.ts";
import { at, type NamespaceView } from "../backends/kubernetes/view.ts";

/** Characters of a pod's trouble that a condition tells. */
const troubleMax = 400;

/** What the kubelet, the scheduler or the process itself said about a pod that does not run. */
export function podTrouble(view: NamespaceView, box: string): string | undefined {
  const pod = view.pods.get(podName(box));
  if (pod === undefined) return undefined;
  const statuses = at(pod, "status", "containerStatuses");
  for (const status of Array.isArray(statuses) ? statuses : []) {
    const waiting = at(status, "state", "waiting");
    const reason = String(at(waiting, "reason") ?? "");
    const ended =
      reason === "CrashLoopBackOff" ? at(status, "lastState", "terminated") : at(status, "state", "terminated");
    const words = lastWords(String(at(ended, "message") ?? ""));
    if (words !== "") return `${reason || String(at(ended, "reason"))}: ${words}`;
    if (waiting) return `${reason}: ${String(at(waiting, "message") ?? "").slice(0, troubleMax)}`;
  }
  const conditions = at(pod, "status", "conditions");
  for (const each of Array.isArray(conditions) ? conditions : [])
    if (each.type === "PodScheduled" && each.status === "False")
      return `${String(each.reason)}: ${String(each.message ?? "").slice(0, troubleMax)}`;
  return undefined;
}

/** The last line of a process's end that is neither a JSON record nor a stack's. */
function lastWords(message: string): string {
  const lines = message.split("\n").filter((line) => line.trim() !== "" && !/^(\{|\s|Node\.js v)/.test(line));
  return (lines.at(-1) ?? "").trim().slice(0, troubleMax);
}
