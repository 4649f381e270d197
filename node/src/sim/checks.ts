import type { Call, History, Hold } from "./history.ts";
import { isLinearizable } from "./linearizable.ts";
import { slotsOf } from "./lock-model.ts";
import { require } from "./violation.ts";

/** Everything that can be told from what clients saw, once a run is over. */
export function checkHistory(history: History): void {
  for (const [path, calls] of Map.groupBy(history.calls, (call) => call.path)) {
    const fresh = calls.filter((call) => !call.stale);
    // A path that changes its zone is another file there; a call of unknown fate may have met either.
    for (const zone of new Set(fresh.map(zoneOf).filter((zone) => zone !== ""))) {
      const there = fresh.filter((call) => zoneOf(call) === zone || call.outcome === "unknown");
      require(isLinearizable(there), () =>
        `the calls on ${path} in zone ${zone} are not linearizable:\n${describe(there)}`);
    }
  }
  checkReceipts(history);
  for (const [path, holds] of Map.groupBy(history.holds, (hold) => hold.path)) checkHolds(path, holds);
}

/** What receipts say of their zone, within each of its generations. */
export function checkReceipts(history: History): void {
  const zones = Map.groupBy(
    history.calls.filter((call) => call.receipt !== undefined && call.receipt.zone !== ""),
    (call) => `${call.receipt?.zone} ${call.receipt?.generation}`,
  );
  for (const [zone, calls] of zones) {
    checkRevisions(zone, calls);
    checkStaleness(zone, calls);
  }
}

function zoneOf(call: Call): string {
  return call.receipt?.zone ?? "";
}

function indexOf(call: Call): number {
  return call.receipt?.index ?? 0;
}

/** What was changed later has a later revision, and a fresh read stands for all that was answered before it began. */
function checkRevisions(zone: string, calls: readonly Call[]): void {
  const changes = calls.filter((call) => call.kind !== "read" && (call.outcome === "ok" || call.outcome === "failed"));
  const byReturn = changes.toSorted((left, right) => left.returned - right.returned);
  const later = calls.filter((call) => !call.stale && call.outcome !== "none" && call.outcome !== "unknown");
  later.sort((left, right) => left.invoked - right.invoked);
  let next = 0;
  let newest: Call | undefined;
  for (const call of later) {
    for (; next < byReturn.length && (byReturn[next] as Call).returned < call.invoked; next++) {
      const known = byReturn[next] as Call;
      if (newest === undefined || indexOf(known) > indexOf(newest)) newest = known;
    }
    if (newest === undefined) continue;
    const least = indexOf(newest) + (call.kind === "read" ? 0 : 1);
    require(indexOf(call) >= least, () => {
      return `zone ${zone}: revision ${indexOf(call)} was answered after ${indexOf(newest as Call)}:\n${describe([newest as Call, call])}`;
    });
  }
}

/** Everything answered longer ago than the receipt's staleness is in what was read. */
function checkStaleness(zone: string, calls: readonly Call[]): void {
  const changes = calls.filter((call) => call.kind !== "read" && call.outcome === "ok");
  for (const read of calls) {
    if (read.kind !== "read" || read.outcome !== "ok" || read.receipt === undefined) continue;
    // A bound above zero is true at the moment of the answer; a fresh read stands for the moment when it was asked.
    const { stalenessMs } = read.receipt;
    const bound = (stalenessMs > 0 && read.local ? read.answeredMs : read.invokedMs) - stalenessMs;
    for (const change of changes) {
      require(change.answeredMs >= bound || indexOf(change) <= indexOf(read), () => {
        return `zone ${zone}: a read told of ${read.receipt?.stalenessMs} ms of staleness misses an older change:\n${describe([change, read])}`;
      });
    }
  }
}

/** No more holders at once than slots, and fences that grow in the order of the grants. */
function checkHolds(path: string, holds: readonly Hold[]): void {
  const edges = holds.flatMap((hold) =>
    hold.untilMs > hold.fromMs
      ? [
          { atMs: hold.fromMs, by: 1 },
          { atMs: hold.untilMs, by: -1 },
        ]
      : [],
  );
  edges.sort((left, right) => left.atMs - right.atMs || left.by - right.by);
  let held = 0;
  for (const { atMs, by } of edges) {
    held += by;
    require(held <= slotsOf(path), () => `${path} was held by ${held} clients at ${atMs} ms`);
  }
  for (const later of holds) {
    for (const earlier of holds) {
      const ordered = earlier.returned >= later.invoked || earlier.fence < later.fence;
      require(ordered, () => `${path}: fence ${later.fence} was granted after ${earlier.fence}`);
    }
  }
}

export function describe(calls: readonly Call[]): string {
  return calls
    .toSorted((left, right) => left.invoked - right.invoked)
    .map((call) => {
      const { client, kind, path, outcome, code, receipt } = call;
      const what = `${call.expected ? `${call.expected.slice(0, 6)}->` : ""}${call.value.slice(0, 6) || "-"}`;
      const when = `${call.invokedMs.toFixed(1)}..${call.answeredMs.toFixed(1)} (${call.invoked}..${call.returned})`;
      const seen = receipt === undefined ? "" : `at ${receipt.index} staleness ${receipt.stalenessMs}`;
      return `  client ${client} ${kind} ${path} ${what} ${outcome} ${code} ${when} ${seen}`;
    })
    .join("\n");
}
