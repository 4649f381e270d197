import type { HostCore } from "./core.ts";
import type { Replica } from "./replica.ts";

/** A log at rest keeps so many entries when its data are more than this, bytes. */
const atRestEntries = 16;
const atRestBytes = 32 * 1024;

/** Drops the head of a log that has grown, but not what a member that is briefly away, or has just got a snapshot, will ask for. */
export function compactIfDue(core: HostCore, replica: Replica, floor: number): void {
  const { storage, settings } = replica;
  const first = storage.firstIndex();
  const count = storage.lastIndex() - first + 1;
  if (count < settings.compactEntries && storage.dataBytes < settings.compactBytes) return;
  compactTo(core, replica, Math.min(replica.applied - Math.min(settings.keepEntries, Math.floor(count / 2)), floor));
}

/**
 * A group that is idle on all its members keeps little of its log in memory: all of them have it applied, and whoever
 * goes away now will ask for what comes later. Thousands of such groups would otherwise hold their last load for good.
 */
export function compactAtRest(core: HostCore, replica: Replica, floor: number): void {
  if (replica.storage.dataBytes > atRestBytes)
    compactTo(core, replica, Math.min(replica.applied - atRestEntries, floor));
}

/** Never what the applied state could lose in a power cut. */
function compactTo(core: HostCore, replica: Replica, wanted: number): void {
  const { storage, state } = replica;
  const to = Math.min(state.syncedIndex, wanted);
  if (to < storage.firstIndex()) return;
  const term = storage.term(to);
  const epoch = storage.epoch(to);
  if (term === undefined || epoch === undefined || replica.installing) return;
  storage.compact(to);
  const { log, generation, configBytes } = replica;
  const snapshotMeta = { index: to, term, epoch, conf: configBytes };
  core.turns.write([{ group: log, generation, snapshotMeta }], () => {});
}
