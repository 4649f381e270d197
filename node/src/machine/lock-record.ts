import type { LockGrant } from "@nexus-federation/proto/records.ts";
import { asBuffer, equalBytes } from "../base/bytes.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { lockKey } from "./keys.ts";
import type { MachineState } from "./state.ts";

export interface LockHolder {
  /** The acquiring request's id, so that a retry finds its grant. 16 bytes. */
  lockId: Uint8Array;
  /** Fence counter of the zone at the grant. */
  counter: number;
  /** Generation of the grant. */
  generation: number;
  ttlMs: number;
  /** Extensions so far: an Expire with another number is late. */
  extendSeq: number;
  owner: string;
}

export interface LockWaiter {
  /** The acquiring request's id; becomes the lock id. 16 bytes. */
  waiterId: Uint8Array;
  ttlMs: number;
  owner: string;
}

/** Invariants: 1 <= holders <= slots; waiters only when all slots are held. A lock that nobody holds is not stored. */
export interface LockRecord {
  kind: string;
  slots: number;
  /** In grant order. */
  holders: LockHolder[];
  /** First come first. */
  waiters: LockWaiter[];
}

const writer = new ByteWriter();

export function encodeLock(lock: LockRecord): Uint8Array {
  writer.reset().text(lock.kind).varint(lock.slots).varint(lock.holders.length);
  for (const h of lock.holders) {
    writer.bytes(h.lockId).varint(h.counter).varint(h.generation).varint(h.ttlMs).varint(h.extendSeq).text(h.owner);
  }
  for (const w of lock.waiters) writer.bytes(w.waiterId).varint(w.ttlMs).text(w.owner);
  return writer.finish();
}

export function decodeLock(bytes: Uint8Array): LockRecord {
  const reader = new ByteReader(bytes);
  const lock: LockRecord = { kind: reader.text(), slots: reader.varint(), holders: [], waiters: [] };
  for (let count = reader.varint(); count > 0; count--) {
    lock.holders.push({
      lockId: reader.bytes(),
      counter: reader.varint(),
      generation: reader.varint(),
      ttlMs: reader.varint(),
      extendSeq: reader.varint(),
      owner: reader.text(),
    });
  }
  while (!reader.done) lock.waiters.push({ waiterId: reader.bytes(), ttlMs: reader.varint(), owner: reader.text() });
  return lock;
}

export function readLock(state: MachineState, path: string): LockRecord | undefined {
  const bytes = state.overlay.get(lockKey(path));
  return bytes && decodeLock(bytes);
}

export function holderOf(lock: LockRecord | undefined, lockId: Uint8Array): LockHolder | undefined {
  return lock?.holders.find((holder) => equalBytes(holder.lockId, lockId));
}

export function grantOf(holder: LockHolder, path: string): LockGrant {
  return {
    lockId: asBuffer(holder.lockId),
    counter: holder.counter,
    generation: holder.generation,
    ttlMs: holder.ttlMs,
    path,
    extendSeq: holder.extendSeq,
  };
}
