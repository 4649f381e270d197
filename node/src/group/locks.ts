import type { Command } from "@nexus-federation/proto/command.ts";
import { hexOf } from "../base/bytes.ts";
import type { Effect, HeldLock } from "../machine/api.ts";

interface LockTimer {
  lock: HeldLock;
  /** Monotonic ms. */
  expiresMs: number;
}

/** Pause before an expiry that was refused or whose fate is unknown is proposed again, ms. */
const retryMs = 1000;

/**
 * The time to live of held locks, which runs on the leader alone. Timers start when a grant is applied, and in full on a
 * new leader: a holder may keep a lock longer than it asked for, never shorter. Expiry is a command like any other, and
 * the machine ignores it when the lock was extended meanwhile.
 */
export class LockTimers {
  readonly #timers = new Map<string, LockTimer>();
  #earliestMs = Number.POSITIVE_INFINITY;

  get count(): number {
    return this.#timers.size;
  }

  /** A new leader: every held lock gets its whole time again. */
  start(held: Iterable<HeldLock>, nowMs: number): void {
    this.stop();
    for (const lock of held) this.#set(lock, nowMs + lock.grant.ttlMs);
  }

  stop(): void {
    this.#timers.clear();
    this.#earliestMs = Number.POSITIVE_INFINITY;
  }

  /** On the leader, for every effect applied. */
  observe(effect: Effect, nowMs: number): void {
    switch (effect.kind) {
      case "lock-granted":
      case "lock-extended":
        this.#set({ path: effect.path, grant: effect.grant }, nowMs + effect.grant.ttlMs);
        return;
      case "lock-ended":
        this.#timers.delete(hexOf(effect.lockId));
        return;
      default:
        return;
    }
  }

  /** Commands to propose for locks whose time is over; each comes again until the lock has ended. */
  due(nowMs: number): Command[] {
    if (nowMs < this.#earliestMs) return [];
    const commands: Command[] = [];
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const timer of this.#timers.values()) {
      if (timer.expiresMs <= nowMs) {
        commands.push(expireCommand(timer.lock));
        timer.expiresMs = nowMs + retryMs;
      }
      if (timer.expiresMs < this.#earliestMs) this.#earliestMs = timer.expiresMs;
    }
    return commands;
  }

  #set(lock: HeldLock, expiresMs: number): void {
    this.#timers.set(hexOf(lock.grant.lockId), { lock, expiresMs });
    if (expiresMs < this.#earliestMs) this.#earliestMs = expiresMs;
  }
}

function expireCommand({ path, grant }: HeldLock): Command {
  const value = { path, lockId: grant.lockId, extendSeq: grant.extendSeq };
  return {
    requestId: Buffer.alloc(0),
    requestTimeMs: 0,
    principal: "",
    logTimeMs: 0,
    operation: { op: { $case: "expire", value } },
  };
}
