import type { Operation } from "@nexus-federation/proto/command.ts";
import type { Failure, FileInfo, ZoneRule } from "@nexus-federation/proto/records.ts";
import type { AdminCall, Request, Response } from "@nexus-federation/proto/request.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { parseAddress, show as quotePath } from "../tree/path.ts";
import { federationPath } from "../tree/rules.ts";
import { systemZone } from "../tree/system-zone.ts";
import type { ZoneRead } from "../zones/engine.ts";
import type { Caller } from "./api.ts";
import { type Directory, restoringState } from "./directory.ts";
import { eachAccess, internalOnly, isInternal, mapPaths } from "./operations.ts";

/** A request bound to its zone: paths are zone paths. */
export interface Routed {
  rule: ZoneRule;
  work: Work;
  /** True when the request named the zone, not a federation path: answers then keep zone paths. */
  byZone: boolean;
}
export type Work =
  | { kind: "mutate"; operation: Operation }
  | { kind: "read"; read: ZoneRead }
  | { kind: "admin"; call: AdminCall };

interface Found {
  rule: ZoneRule;
  zonePath: string;
  byZone: boolean;
}

/** Finds the zone of a request and checks the caller's rights on every path it names. */
export function route(request: Request, caller: Caller, directory: Directory): Routed | Refusal {
  const op = request.op;
  if (op === undefined) return refuse("INVALID", "the request names no operation");
  if (op.$case === "admin") {
    if (caller.kind !== "box") return internalOnly();
    const rule = directory.zone(request.zone);
    return isRefusal(rule) ? rule : { rule, work: { kind: "admin", call: op.value }, byZone: true };
  }
  if (op.$case === "mutate") return routeMutation(op.value, request.zone, caller, directory);
  const path = pathOfRead(request);
  if (path === undefined) return refuse("INVALID", `a request of kind ${op.$case} has no path`);
  const found = find(path, request.zone, { caller, directory });
  if (isRefusal(found)) return found;
  const denied = caller.kind === "box" ? undefined : caller.check("read", checkedPath(found, directory));
  if (denied !== undefined) return denied;
  const read = zoneRead(request, found.zonePath);
  return isRefusal(read) ? read : { rule: found.rule, work: { kind: "read", read }, byZone: found.byZone };
}

function routeMutation(operation: Operation, zone: string, caller: Caller, directory: Directory): Routed | Refusal {
  if (isInternal(operation)) {
    if (caller.kind !== "box") return internalOnly();
    // A door gives up a wait by the path that its client named; all others are planned by zone.
    if (operation.op?.$case !== "cancelWait" || zone !== "") {
      const rule = directory.zone(zone);
      return isRefusal(rule) ? rule : { rule, work: { kind: "mutate", operation }, byZone: true };
    }
  }
  let first: Found | undefined;
  const toZone = (path: string): string | Refusal => {
    const found = find(path, zone, { caller, directory });
    if (isRefusal(found)) return found;
    first ??= found;
    if (found.rule.zone === first.rule.zone) return found.zonePath;
    return refuse(
      "UNSUPPORTED_IN_MODE",
      `one operation stays in one zone: it names paths of ${first.rule.zone} and of ${found.rule.zone}`,
    );
  };
  if (caller.kind !== "box") {
    const denied = eachAccess(operation, ({ right, path }) => {
      const found = find(path, zone, { caller, directory });
      return isRefusal(found) ? found : caller.check(right, checkedPath(found, directory));
    });
    if (denied !== undefined) return denied;
  }
  const mapped = mapPaths(operation, toZone);
  if (isRefusal(mapped)) return mapped;
  const found = first as Found | undefined;
  if (found === undefined) return refuse("INVALID", "the operation names no path");
  return { rule: found.rule, work: { kind: "mutate", operation: mapped }, byZone: found.byZone };
}

/** Zone and zone path of a request's path; `zone` is the request's own zone field. */
function find(path: string, zone: string, by: { caller: Caller; directory: Directory }): Found | Refusal {
  const { caller, directory } = by;
  const address = parseAddress(path);
  if (isRefusal(address)) return address;
  if (address.zone !== undefined && zone !== "" && address.zone !== zone) {
    return refuse("INVALID", `the request names zone ${zone}, its path names zone ${address.zone}`);
  }
  if (directory.revision === 0 && caller.kind !== "box") return mapless();
  const named = address.zone ?? (zone === "" ? undefined : zone);
  if (named !== undefined) {
    if (named === systemZone && caller.kind !== "box") {
      return refuse("NO_ZONE", "the system zone holds the federation's rules, no files or locks");
    }
    const rule = directory.zone(named);
    if (isRefusal(rule)) return unruled(caller, directory) ?? rule;
    if (rule.state === restoringState && caller.kind !== "box") {
      return refuse("NO_ZONE", `zone ${named} is being restored; it is shown once it is complete`);
    }
    return { rule, zonePath: address.path, byZone: true };
  }
  const match = directory.match(address.path);
  if (match === undefined) {
    const early = unruled(caller, directory);
    if (early !== undefined) return early;
    return refuse("NO_ZONE", `no rule of map ${directory.epoch} covers ${address.path}`, { epoch: directory.epoch });
  }
  return { rule: match.rule, zonePath: match.zonePath, byZone: false };
}

/** Without a map a box cannot know that a path has no zone. */
function mapless(): Refusal {
  return refuse("ZONE_UNAVAILABLE", "this box has not received the rule map yet; retry, or ask another box");
}

/** Before the first map is in force nothing is known of what will cover a path. */
function unruled(caller: Caller, directory: Directory): Refusal | undefined {
  if (directory.epoch > 0 || caller.kind === "box") return undefined;
  const text = "no rule map is in force yet: the federation is being set up, or it declares no ConsensusZone";
  return refuse("ZONE_UNAVAILABLE", text);
}

/** Rights are given on federation paths; a zone that is reached by name is checked where its rule shows it. */
function checkedPath(found: Found, directory: Directory): string {
  const pattern = directory.patternOf(found.rule.zone);
  if (pattern === undefined) return `/zone:${found.rule.zone}${found.zonePath === "/" ? "" : found.zonePath}`;
  return federationPath(pattern, found.zonePath);
}

function pathOfRead(request: Request): string | undefined {
  switch (request.op?.$case) {
    case "read":
    case "stat":
    case "list":
    case "inspectLock":
    case "feed":
      return request.op.value.path;
    default:
      return undefined;
  }
}

function zoneRead(request: Request, path: string): ZoneRead | Refusal {
  switch (request.op?.$case) {
    case "read":
      return { kind: "read", path, infoOnly: request.op.value.infoOnly };
    case "stat":
      return { kind: "stat", path };
    case "inspectLock":
      return { kind: "lock", path };
    case "list": {
      const { prefix, delimiter, limit, page, recursive } = request.op.value;
      return { kind: "list", path, prefix, delimiter, limit, page, recursive };
    }
    case "feed": {
      const { afterIndex, generation, limit, fromNow, waitMs } = request.op.value;
      return { kind: "feed", path, afterIndex, generation, limit, fromNow, waitMs };
    }
    default:
      return refuse("INVALID", "this request reads nothing");
  }
}

/** The request as another box must see it: bound to the zone, so that both need not have the same map. */
export function forwarded(request: Request, routed: Routed): Request {
  return { ...request, zone: routed.rule.zone, op: opOf(routed.work) };
}

function opOf(work: Work): Request["op"] {
  if (work.kind === "mutate") return { $case: "mutate", value: work.operation };
  if (work.kind === "admin") return { $case: "admin", value: work.call };
  const { read } = work;
  switch (read.kind) {
    case "read":
      return { $case: "read", value: { path: read.path, infoOnly: read.infoOnly } };
    case "stat":
      return { $case: "stat", value: { path: read.path } };
    case "lock":
      return { $case: "inspectLock", value: { path: read.path } };
    case "list":
      return { $case: "list", value: read };
    case "feed":
      return { $case: "feed", value: read };
  }
}

/** Paths stand in sentences as `show` of tree/path.ts writes them. */
const quotedPath = /"\/(?:[^"\\]|\\.)*"/g;

function inSentence(failure: Failure, path: (zonePath: string) => string): Failure {
  const message = failure.message.replace(quotedPath, (quoted) => quotePath(path(JSON.parse(quoted) as string)));
  return { ...failure, message };
}

/** Turns the zone paths of an answer into the paths of the namespace that was asked. */
export function showPaths(response: Response, routed: Routed, directory: Directory): void {
  const pattern = directory.patternOf(routed.rule.zone);
  const show = (path: string): string => {
    if (path === "") return path;
    if (routed.byZone || pattern === undefined) return `/zone:${routed.rule.zone}${path === "/" ? "" : path}`;
    return federationPath(pattern, path);
  };
  const showInfo = (info: FileInfo | undefined) => {
    if (info !== undefined) info.path = show(info.path);
  };
  const result = response.result;
  switch (result?.$case) {
    case "failure":
      // What the state machine does not own it names by the federation's path already.
      if (result.value.code !== "STALE_EPOCH") result.value = inSentence(result.value, show);
      return;
    case "read":
      return showInfo(result.value.info);
    case "info":
      return showInfo(result.value);
    case "operation":
      return showInfo(result.value.info);
    case "listing":
      for (const entry of result.value.entries) showInfo(entry);
      return;
    case "batch":
      for (const one of result.value.results) showInfo(one.info);
      return;
    case "grant":
      // The host keeps the grant for its timers: never write into it.
      result.value = { ...result.value, path: show(result.value.path) };
      return;
    case "lock":
      result.value = {
        ...result.value,
        holders: result.value.holders.map((holder) => ({ ...holder, path: show(holder.path) })),
      };
      return;
    case "feed":
      for (const event of result.value.events) {
        event.path = show(event.path);
        event.fromPath = show(event.fromPath);
        showInfo(event.info);
      }
      return;
    default:
      return;
  }
}
