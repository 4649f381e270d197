import type { HostCore } from "./core.ts";
import type { Replica } from "./replica.ts";

/**
 * Drops the head of a log that has grown: never what the applied state could lose in a power cut, nor what a member that
 * is briefly away, or has just got a snapshot, will ask for.
 */
export function compactIfDue(core: HostCore, replica: Replica, floor: number): void {
  const { storage, settings, state } = replica;
  const first = storage.firstIndex();
  const count = storage.lastIndex() - first + 1;
  if (count < settings.compactEntries && storage.dataBytes < settings.compactBytes) return;
  const keep = Math.min(settings.keepEntries, Math.floor(count / 2));
  const to = Math.min(state.syncedIndex, replica.applied - keep, floor);
  if (to < first) return;
  const term = storage.term(to);
  const epoch = storage.epoch(to);
  if (term === undefined || epoch === undefined || replica.installing) return;
  storage.compact(to);
  const { log, generation, configBytes } = replica;
  const snapshotMeta = { index: to, term, epoch, conf: configBytes };
  core.turns.write([{ group: log, generation, snapshotMeta }], () => {});
}
