import type {
  AcquireLock,
  CancelWait,
  ExpireLock,
  ExtendLock,
  LockWaiting,
  ReleaseLock,
} from "@nexus-federation/proto/command.ts";
import type { LockGrant, LockState } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { asBuffer, equalBytes } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { show } from "../tree/path.ts";
import type { HeldLock } from "./api.ts";
import { checkPath } from "./directories.ts";
import { after, lockKey, lockPrefix, pathOfLockKey } from "./keys.ts";
import {
  decodeLock,
  encodeLock,
  grantOf,
  holderOf,
  type LockHolder,
  type LockRecord,
  type LockWaiter,
  readLock,
} from "./lock-record.ts";
import { grantsLocks } from "./policy.ts";
import type { MachineState } from "./state.ts";

/** What an acquire comes to. */
export type Acquired = { grant: LockGrant } | { waiting: LockWaiting };

/** `requestId` becomes the lock's id: a retry of the request finds its own grant or place. 16 bytes. */
export function acquireLock(state: MachineState, operation: AcquireLock, requestId: Uint8Array): Acquired | Refusal {
  const { path, kind } = operation;
  const refused = checkPath(state, path) ?? checkAcquire(state, operation);
  if (refused) return refused;
  const slots = kind === "mutex" ? 1 : operation.slots;
  const lock = readLock(state, path) ?? { kind, slots, holders: [], waiters: [] };
  if (lock.kind !== kind || lock.slots !== slots) {
    return refuse(
      "INVALID",
      `${show(path)} is held as ${lock.kind} of ${lock.slots}, ${kind} of ${slots} was asked; ask for the same`,
    );
  }
  const mine = holderOf(lock, requestId);
  if (mine) return { grant: grantOf(mine, path) };
  const place = lock.waiters.findIndex((waiter) => equalBytes(waiter.waiterId, requestId));
  if (place >= 0) return { waiting: { waiterId: asBuffer(requestId), position: place + 1 } };

  const wish: LockWaiter = { waiterId: requestId, ttlMs: operation.ttlMs, owner: operation.owner };
  if (lock.holders.length < lock.slots) {
    const holder = grant(state, { path, lock }, wish, false);
    store(state, path, lock);
    return { grant: grantOf(holder, path) };
  }
  if (!operation.wait) {
    const holders = namesOf(lock.holders);
    const many = lock.slots > 1 ? ` (${lock.holders.length} of ${lock.slots})` : "";
    return refuse("LOCKED", `${show(path)} is held by ${holders}${many}`, { details: { holders } });
  }
  if (lock.waiters.length >= state.limits.lockWaitersMax) {
    return refuse("OVERLOADED", `${show(path)} has ${lock.waiters.length} waiters already`, { retryAfterMs: 1000 });
  }
  lock.waiters.push(wish);
  store(state, path, lock);
  return { waiting: { waiterId: asBuffer(requestId), position: lock.waiters.length } };
}

/** Who they say they are; at most five are named. */
function namesOf(holders: readonly LockHolder[]): string {
  const named = holders.slice(0, 5).map((holder) => holder.owner || "a holder without a label");
  return named.join(", ") + (holders.length > named.length ? ` and ${holders.length - named.length} more` : "");
}

function checkAcquire(state: MachineState, operation: AcquireLock): Refusal | undefined {
  const { limits } = state;
  if (operation.kind !== "mutex" && operation.kind !== "semaphore") {
    return refuse("INVALID", `kind: mutex or semaphore is expected, ${show(operation.kind)} came`);
  }
  const slotsMax = operation.kind === "mutex" ? 1 : limits.lockSlotsMax;
  const slotsMin = operation.kind === "mutex" ? 0 : 1;
  if (operation.slots < slotsMin || operation.slots > slotsMax) {
    return refuse("INVALID", `slots: a ${operation.kind} has 1 to ${slotsMax}, ${operation.slots} came`);
  }
  if (operation.owner.length > limits.labelBytesMax) {
    return refuse("INVALID", `owner: at most ${limits.labelBytesMax} characters`);
  }
  return checkTtl(state, operation.ttlMs) ?? checkMode(state, operation.path);
}

function checkTtl(state: MachineState, ttlMs: number): Refusal | undefined {
  const most = state.limits.lockTtlMsMax;
  if (ttlMs >= 1 && ttlMs <= most) return undefined;
  return refuse("INVALID", `ttlMs: 1 to ${most} milliseconds, ${ttlMs} came`);
}

function checkMode(state: MachineState, path: string): Refusal | undefined {
  if (!grantsLocks(state.policy.now)) {
    const text = `${show(path)} lies in an eventual zone, which refuses locks; use a strong zone or set locks: upgrade`;
    return refuse("CONSISTENCY", text);
  }
  if (!state.policy.next) return undefined;
  const text = `${show(path)} lies in a zone that becomes ${state.policy.next.mode} when its last lock ends; new locks are refused`;
  return refuse("CONSISTENCY", text);
}

export function extendLock(state: MachineState, operation: ExtendLock): LockGrant | Refusal {
  const { path, lockId } = operation;
  const refused = checkPath(state, path) ?? checkTtl(state, operation.ttlMs);
  if (refused) return refused;
  const lock = readLock(state, path);
  const holder = holderOf(lock, lockId);
  if (!lock || !holder)
    return refuse("FENCED", `the lock ${show(path)} is no longer held under this lock id; acquire it again`);
  if (holder.generation !== state.generation) {
    const text = `the lock ${show(path)} was granted in generation ${holder.generation} of the zone, which is in ${state.generation} since a recovery: no fence of it counts; acquire it again`;
    return refuse("FENCED", text);
  }
  holder.ttlMs = operation.ttlMs;
  holder.extendSeq++;
  store(state, path, lock);
  const extended = grantOf(holder, path);
  state.effects.push({ kind: "lock-extended", path, grant: extended });
  return extended;
}

export function releaseLock(state: MachineState, operation: ReleaseLock): Refusal | undefined {
  const refused = checkPath(state, operation.path);
  if (refused) return refused;
  if (endGrant(state, operation.path, operation.lockId)) return undefined;
  return refuse("NOT_FOUND", `the lock ${show(operation.path)} is not held under this lock id`);
}

/** Does nothing unless the grant still stands and was not extended since the timer started. */
export function expireLock(state: MachineState, operation: ExpireLock): void {
  const holder = holderOf(readLock(state, operation.path), operation.lockId);
  if (holder && holder.extendSeq === operation.extendSeq) endGrant(state, operation.path, operation.lockId);
}

/**
 * Gives up a place in the queue. When the grant came first it stands, and is answered: the caller takes it or releases it.
 */
export function cancelWait(state: MachineState, operation: CancelWait): LockGrant | undefined {
  const { path, waiterId } = operation;
  const lock = readLock(state, path);
  const holder = holderOf(lock, waiterId);
  if (holder) return grantOf(holder, path);
  const at = lock?.waiters.findIndex((waiter) => equalBytes(waiter.waiterId, waiterId)) ?? -1;
  if (!lock || at < 0) return undefined;
  lock.waiters.splice(at, 1);
  store(state, path, lock);
  const refusal = refuse("LOCKED", `the wait for ${show(path)} was given up`);
  state.effects.push({ kind: "wait-ended", path, waiterId, refusal });
  return undefined;
}

/** False when `lockId` holds nothing there. Grants the next waiters, unless the zone is leaving its locking mode. */
function endGrant(state: MachineState, path: string, lockId: Uint8Array): boolean {
  const lock = readLock(state, path);
  const holder = holderOf(lock, lockId);
  if (!lock || !holder) return false;
  lock.holders.splice(lock.holders.indexOf(holder), 1);
  state.counters.locksHeld--;
  state.effects.push({ kind: "lock-ended", path, lockId });
  if (state.policy.next) refuseWaiters(state, path, lock);
  while (lock.holders.length < lock.slots && lock.waiters.length > 0) {
    grant(state, { path, lock }, lock.waiters.shift() as LockWaiter, true);
  }
  store(state, path, lock);
  return true;
}

function refuseWaiters(state: MachineState, path: string, lock: LockRecord): void {
  for (const { waiterId } of lock.waiters) {
    const refusal = refuse("CONSISTENCY", `the zone of ${show(path)} is leaving its locking mode; the wait was ended`);
    state.effects.push({ kind: "wait-ended", path, waiterId, refusal });
  }
  lock.waiters = [];
}

function grant(
  state: MachineState,
  at: { path: string; lock: LockRecord },
  wish: LockWaiter,
  waited: boolean,
): LockHolder {
  const holder: LockHolder = {
    lockId: wish.waiterId,
    counter: ++state.counters.fence,
    generation: state.generation,
    ttlMs: wish.ttlMs,
    extendSeq: 0,
    owner: wish.owner,
  };
  at.lock.holders.push(holder);
  state.counters.locksHeld++;
  state.effects.push({
    kind: "lock-granted",
    path: at.path,
    grant: grantOf(holder, at.path),
    waited,
    waiterId: wish.waiterId,
  });
  return holder;
}

function store(state: MachineState, path: string, lock: LockRecord): void {
  assert(lock.holders.length <= lock.slots, "a lock has no more holders than slots");
  assert(lock.waiters.length === 0 || lock.holders.length === lock.slots, "nobody waits for a free slot");
  if (lock.holders.length === 0) state.overlay.delete(lockKey(path));
  else state.overlay.put(lockKey(path), encodeLock(lock));
}

export function lockStateOf(state: MachineState, path: string): LockState {
  const lock = readLock(state, path);
  if (!lock) return { kind: "", slots: 0, holders: [], waiters: 0, owners: [] };
  const holders = lock.holders.map((holder) => grantOf(holder, path));
  const owners = lock.holders.map((holder) => holder.owner);
  return { kind: lock.kind, slots: lock.slots, holders, waiters: lock.waiters.length, owners };
}

export function* heldLocks(state: MachineState): Generator<HeldLock, void, void> {
  for (const { key, value } of state.overlay.scan({ from: lockPrefix, to: after(lockPrefix) })) {
    const path = pathOfLockKey(key);
    for (const holder of decodeLock(value).holders) yield { path, grant: grantOf(holder, path) };
  }
}
