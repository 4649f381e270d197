// What `nexus status`, `apply` and `up` show of a local federation.
import { hexOf } from "@nexus-federation/node/base/bytes.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Condition } from "../../api/conditions.ts";
import type { LoadFault } from "../../api/load.ts";
import type { Desired } from "../../planner/desired.ts";
import type { Observed } from "../../planner/observed.ts";
import type { Problem } from "../shared/execute.ts";
import { leadersView } from "../shared/observe.ts";
import type { ChildView } from "./child.ts";

export interface BoxRow extends ChildView {
  name: string;
  role: "Data" | "Witness";
  region: string;
  /** starting | empty | ready | draining | full as the box says; running | no answer for a witness; stopped. */
  state: string;
  /** Client endpoint of HTTP and gRPC (one port); empty for a witness. */
  http: string;
  grpc: string;
  peer: string;
  incarnation: string;
  version: string;
  problems: string[];
}

export interface GroupRow {
  zone: string;
  log: number;
  leader: string;
  term: number;
  /** PAIR | SOLO | empty */
  mode: string;
  epoch: number;
  commit: number;
  configIndex: number;
  joint: boolean;
  /** Name of the log for good, and its generation: a recovery names the one and raises the other. */
  uid: string;
  generation: number;
  members: { box: string; role: string; match: number; lag: number; state: string; incarnation: string }[];
}

export interface ZoneRow {
  name: string;
  path: string;
  mode: string;
  /** Mode that is asked for, when another is in force. */
  wanted: string;
  epoch: number;
  ready: boolean;
  /** Reason and sentence of Ready. */
  reason: string;
  message: string;
}

/** A fault that a person must mend. */
export interface ObjectFault {
  /** Kind/name */
  object: string;
  reason: string;
  message: string;
  /** Where to mend it, when the object is in the files given and one field is to blame. */
  file?: string;
  line?: number;
  field?: string;
  /** It stood before these files came, and they do not have the object. */
  old?: boolean;
}

export interface LocalStatus {
  federation: string;
  folder: string;
  /** Pid of the supervisor. */
  supervisor: number;
  epoch: number;
  /** Nothing is left to do (faults may stand). */
  settled: boolean;
  boxes: BoxRow[];
  groups: GroupRow[];
  zones: ZoneRow[];
  faults: ObjectFault[];
  /** Deeds that were refused last. */
  problems: Problem[];
  conditions: Record<string, readonly Condition[]>;
}

/** Either refused as a whole, or taken; then what stands in the way of single objects. */
export interface ApplyOutcome {
  refused: LoadFault[];
  /** Objects taken, "Kind/name". */
  taken: string[];
  /** Objects to delete that are not declared, "Kind/name". */
  absent: string[];
  faults: ObjectFault[];
  /** What local processes pass over, one sentence each. */
  notes: string[];
}

export interface StatusInput {
  federation: string;
  folder: string;
  settled: boolean;
  desired: Desired;
  observed: Observed;
  replies: ReadonlyMap<string, StatusReply>;
  children: ReadonlyMap<string, ChildView>;
  /** Why a running box did not answer last, by box. */
  silent: ReadonlyMap<string, string>;
  problems: Problem[];
}

export function localStatus(input: StatusInput): LocalStatus {
  const { desired, observed } = input;
  return {
    federation: input.federation,
    folder: input.folder,
    supervisor: process.pid,
    epoch: observed.epoch,
    settled: input.settled,
    boxes: [...desired.boxes.keys()].map((name) => boxRow(name, input)),
    groups: groupRows(input.replies),
    zones: zoneRows(desired, observed),
    faults: faultsIn(observed.conditions),
    problems: input.problems,
    conditions: Object.fromEntries(observed.conditions),
  };
}

function boxRow(name: string, input: StatusInput): BoxRow {
  const { desired, observed, replies, children } = input;
  const { role, region } = desired.boxes.get(name)!;
  const child = children.get(name) ?? { pid: 0, running: false, restarts: 0, lastExit: "" };
  const workload = observed.workloads.get(name);
  const reply = replies.get(name);
  const unasked = role === "Data" ? "starting" : input.silent.has(name) ? "no answer" : "running";
  const state = child.running ? (reply?.state ?? unasked) : "stopped";
  const client = role === "Data" ? (workload?.clientEndpoint ?? "") : "";
  return {
    ...child,
    name,
    role,
    region,
    state,
    http: client === "" ? "" : `https://${client}`,
    grpc: client,
    peer: workload?.peerEndpoint ?? "",
    incarnation: reply ? hexOf(reply.incarnation) : "",
    version: reply?.version ?? "",
    problems: [...whyStays(name, input), ...problemsOf(name, input)],
  };
}

function problemsOf(name: string, { desired, replies, children, silent }: StatusInput): string[] {
  const reply = replies.get(name);
  const child = children.get(name);
  if (reply && child?.running) return reply.problems;
  // A witness gives no status: what runs and is not silent is well.
  if (child?.running && desired.boxes.get(name)?.role === "Witness" && !silent.has(name)) return [];
  const ended = child === undefined || child.lastExit === "" ? [] : [`it ${child.lastExit}`];
  if (!child?.running || !silent.has(name)) return ended;
  return [`does not answer: ${silent.get(name)}`, ...ended];
}

/** A box that is deleted and stays says what names it. */
function whyStays(name: string, { observed }: StatusInput): string[] {
  const ready = observed.conditions.get(`Box/${name}`)?.find((each) => each.type === "Ready");
  return ready?.reason === "Deleted" ? [ready.message] : [];
}

function groupRows(replies: ReadonlyMap<string, StatusReply>): GroupRow[] {
  const rows = [...leadersView(replies).values()].map(({ reply, leads }) => ({
    zone: reply.zone,
    log: reply.log,
    leader: leads ? reply.leader : "",
    term: reply.term,
    mode: reply.witnessMode,
    epoch: reply.epoch,
    commit: reply.commit,
    configIndex: reply.configIndex,
    joint: reply.joint,
    uid: reply.uid,
    generation: reply.generation,
    members: reply.members.map(({ box, role, match, lag, active, caughtUp, incarnation }) => ({
      box,
      role,
      match,
      lag,
      state: !active ? "Unreachable" : caughtUp ? "CaughtUp" : "Lagging",
      incarnation: hexOf(incarnation),
    })),
  }));
  return rows.sort((a, b) => a.log - b.log);
}

function zoneRows(desired: Desired, observed: Observed): ZoneRow[] {
  const rows = new Map<string, ZoneRow>();
  for (const rule of observed.rules) {
    const led = (observed.logs.get(rule.zone)?.leader ?? "") !== "";
    const reason = led ? "Installed" : "NoLeader";
    rows.set(rule.zone, {
      name: rule.zone,
      path: rule.pattern,
      mode: rule.mode,
      wanted: "",
      epoch: observed.epoch,
      ready: led && rule.state !== "detached",
      reason,
      message: "",
    });
  }
  for (const zone of desired.zones.values()) {
    const ready = observed.conditions.get(`ConsensusZone/${zone.name}`)?.find((each) => each.type === "Ready");
    const row = rows.get(zone.name);
    const mode = row?.mode ?? "";
    rows.set(zone.name, {
      name: zone.name,
      path: zone.pattern,
      mode,
      wanted: mode === zone.policy.mode || zone.retired ? "" : zone.policy.mode,
      epoch: observed.epoch,
      ready: ready?.status === "True",
      reason: ready?.reason ?? "Unknown",
      message: ready?.message ?? "",
    });
  }
  return [...rows.values()];
}

/** What is Stalled. */
export function faultsIn(conditions: ReadonlyMap<string, readonly Condition[]>): ObjectFault[] {
  return [...conditions].flatMap(([object, list]) => {
    const stalled = list.find((each) => each.type === "Stalled" && each.status === "True");
    return stalled ? [{ object, reason: stalled.reason, message: stalled.message }] : [];
  });
}
