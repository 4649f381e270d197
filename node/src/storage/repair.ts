// What becomes of a store in which RocksDB or our checksums found damage.
//
// The problem: after one bad block RocksDB refuses every write (its compaction meets the block again and again), so a box
// that only gave up the damaged log would never come up. Why not drop the whole store: it holds the box's identity and
// the logs that are whole, perhaps their only copies. The sketch: a fault leaves a mark beside the folder; the next start
// reads everything once and, when something cannot be read, copies the rest to a fresh store, which takes the folder's
// place. A log that lost its state that way fills it again from its own log or from another member.
import { constants, existsSync, writeFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, NexusError } from "../base/errors.ts";
import type { StateStore, StateWrite } from "../machine/store.ts";
import { giveUp } from "./database.ts";
import {
  afterPrefix,
  parsePointerKey,
  parseStateId,
  pointerKey,
  pointerSpace,
  positionSpace,
  type StateId,
  statePrefix,
} from "./keys.ts";
import { RocksStore } from "./rocks.ts";
import { isDamage } from "./view.ts";

/** Rows copied in one batch. */
const batchRows = 256;
const markOf = (folder: string) => `${folder}.suspect`;
const freshOf = (folder: string) => `${folder}.fresh`;
const formerOf = (folder: string) => `${folder}.former`;

/** The next start checks the store. To be called when nothing written can be trusted any more; never throws. */
export function suspect(folder: string): void {
  try {
    writeFileSync(markOf(folder), "");
  } catch {
    // A disk that takes no empty file is the fault itself; damage is met again.
  }
}

/** Opens the store; one under suspicion is read through and, when damaged, repaired first. `told` hears of logs given up. */
export async function openChecked(folder: string, told: (log: number) => void): Promise<RocksStore> {
  if (!existsSync(folder) && existsSync(freshOf(folder))) await rename(freshOf(folder), folder);
  await rm(formerOf(folder), { recursive: true, force: true });
  if (existsSync(markOf(folder))) {
    if (!(await isWhole(folder))) await repair(folder, told);
    await rm(markOf(folder), { force: true });
  }
  return RocksStore.open(folder);
}

async function isWhole(folder: string): Promise<boolean> {
  const store = await RocksStore.open(folder);
  try {
    for (const _row of store.scan({ from: "" }));
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  } finally {
    await store.close();
  }
}

async function repair(folder: string, told: (log: number) => void): Promise<void> {
  const fresh = freshOf(folder);
  await rm(fresh, { recursive: true, force: true });
  const from = await RocksStore.open(folder);
  const to = await RocksStore.open(fresh);
  try {
    copyHead(from, to, folder);
    for (const id of liveStates(from)) {
      if (copyState(from, to, id)) continue;
      giveUp(to, id);
      told(id.log);
    }
    await to.flush();
  } finally {
    await from.close();
    await to.close();
  }
  await rename(folder, formerOf(folder));
  await rename(fresh, folder);
  const parent = await open(dirname(folder), constants.O_RDONLY);
  await parent.sync().finally(() => parent.close());
  await rm(formerOf(folder), { recursive: true, force: true });
}

/** Identity, format, pointers and positions: without them nothing can be said of the rest. */
function copyHead(from: RocksStore, to: RocksStore, folder: string): void {
  try {
    to.write([...from.scan({ from: "", to: positionSpace.to })]);
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw new NexusError(
      "CORRUPT",
      `The state in ${folder} is damaged where it says whose it is: empty the box's folder to start it as a new one. ${messageOf(error)}`,
    );
  }
}

function liveStates(store: RocksStore): StateId[] {
  const logs = [...store.keys(pointerSpace).map(parsePointerKey), ...store.keys(positionSpace).map(parseStateId)];
  const found = new Map<string, StateId>();
  for (const { log, generation } of logs) {
    const pointer = store.get(pointerKey(log, generation));
    const slot = pointer === undefined ? 0 : Buffer.from(pointer).readUInt32BE(0);
    found.set(`${log} ${generation}`, { log, generation, slot });
  }
  return [...found.values()];
}

/** False when a row of it could not be read. */
function copyState(from: StateStore, to: StateStore, id: StateId): boolean {
  const prefix = statePrefix(id);
  try {
    let batch: StateWrite[] = [];
    for (const row of from.scan({ from: prefix, to: afterPrefix(prefix) })) {
      batch.push(row);
      if (batch.length < batchRows) continue;
      to.write(batch);
      batch = [];
    }
    to.write(batch);
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  }
}
