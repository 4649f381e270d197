import type { Receipt } from "@nexus-federation/proto/records.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { errorKinds, NexusError } from "../base/errors.ts";
import type { CallOptions, Granted } from "./types.ts";

/** Pause after an extension that failed for a reason that may pass, ms. */
const retryMs = 50;

/** What a Lock needs of the client. */
export interface LockHolder {
  extend(path: string, lockId: Uint8Array, options: CallOptions & { ttlMs?: number }): Promise<Granted>;
  release(path: string, lockId: Uint8Array, options?: CallOptions): Promise<Receipt>;
}

/**
 * A held lock. It extends itself every third of its TTL. `signal` aborts when it may be lost: the box said so, or no
 * extension was confirmed within the TTL since the last one was SENT (the holder's own clock, so never later than the
 * zone's expiry by more than the answer's delay). Pass `fence` with writes: it stays safe even where `signal` came late.
 */
export class Lock {
  readonly path: string;
  readonly fence: string;
  readonly lockId: Uint8Array;
  readonly #holder: LockHolder;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #lost = new AbortController();
  #timer: Timer | undefined;
  #expiry: Timer | undefined;
  #heldUntilMs: number;
  #released = false;

  constructor(holder: LockHolder, made: { path: string; granted: Granted; ttlMs: number; clock: Clock }) {
    this.path = made.path;
    this.fence = made.granted.fence;
    this.lockId = made.granted.grant.lockId;
    this.#holder = holder;
    this.#clock = made.clock;
    this.#ttlMs = made.ttlMs;
    this.#heldUntilMs = made.clock.now() + made.ttlMs;
    this.#arm(this.#ttlMs / 3);
    this.#expire();
  }

  /** Aborts when the lock is lost; its reason is the NexusError. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#timer?.cancel();
    this.#expiry?.cancel();
    if (!this.signal.aborted) await this.#holder.release(this.path, this.lockId);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const sentMs = this.#clock.now();
    const leftMs = this.#heldUntilMs - sentMs;
    if (this.signal.aborted || leftMs <= 0) return;
    try {
      await this.#holder.extend(this.path, this.lockId, {
        ttlMs: this.#ttlMs,
        timeoutMs: Math.max(1, Math.floor(leftMs)),
      });
      if (this.#released || this.signal.aborted) return;
      this.#heldUntilMs = sentMs + this.#ttlMs;
      this.#expire();
      this.#arm(this.#ttlMs / 3);
    } catch (error) {
      if (this.#released || this.signal.aborted) return;
      if (error instanceof NexusError && !errorKinds[error.code].retryable) return this.#lose(error);
      this.#arm(Math.min(retryMs, leftMs));
    }
  }

  /** An extension that is under way when the time is over comes too late, whatever it will say. */
  #expire(): void {
    this.#expiry?.cancel();
    this.#expiry = this.#clock.after(this.#heldUntilMs - this.#clock.now(), () =>
      this.#lose(new NexusError("FENCED", "the lock's time ran out before an extension was confirmed")),
    );
  }

  #lose(error: NexusError): void {
    this.#timer?.cancel();
    this.#expiry?.cancel();
    if (!this.#released && !this.signal.aborted) this.#lost.abort(error);
  }
}
