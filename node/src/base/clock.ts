// Time and randomness come in through these ports, so that the simulator owns them.

export interface Timer {
  cancel(): void;
}

/** Monotonic and wall time, timers, and "after this turn". */
export interface Clock {
  /** Monotonic milliseconds, fractions allowed. Never goes back. */
  now(): number;
  /** Wall time in milliseconds since 1970. May jump. */
  wallMs(): number;
  /** Calls `fn` once after at least `delayMs`. */
  after(delayMs: number, fn: () => void): Timer;
  /** Calls `fn` when what is queued for this turn of the event loop has run (setImmediate). */
  defer(fn: () => void): void;
  /** As `defer` while there is much to do, so that work is gathered; else already when the running callback is over. */
  soon(fn: () => void): void;
}

/** Randomness for ids (unpredictable in production) and jitter. */
export interface Random {
  /** Uniform in [0, 1). */
  unit(): number;
  bytes(count: number): Uint8Array;
}

/** Calls `fn` once in every `periodMs`, counted from the end of the call before, until it is cancelled. */
export function every(clock: Clock, periodMs: number, fn: () => void): Timer {
  let timer: Timer | undefined;
  let isOver = false;
  const arm = (): void => {
    timer = clock.after(periodMs, () => {
      if (isOver) return;
      fn();
      if (!isOver) arm();
    });
  };
  arm();
  return {
    cancel: () => {
      isOver = true;
      timer?.cancel();
    },
  };
}

/** Resolves after `delayMs`, or rejects with the signal's reason. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
