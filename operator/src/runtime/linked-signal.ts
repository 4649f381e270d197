/**
 * A signal that aborts with the first of `signals`, and how to let go of them. AbortSignal.any keeps what it makes
 * reachable from signals that live as long as the process.
 */
export function linkSignals(signals: readonly (AbortSignal | undefined)[]): {
  signal: AbortSignal | undefined;
  unlink(): void;
} {
  const given = signals.filter((signal) => signal !== undefined);
  if (given.length < 2) return { signal: given[0], unlink: () => {} };
  const controller = new AbortController();
  const abort = (event: Event) => controller.abort((event.target as AbortSignal).reason);
  const aborted = given.find((signal) => signal.aborted);
  if (aborted) controller.abort(aborted.reason);
  else for (const signal of given) signal.addEventListener("abort", abort, { once: true });
  const unlink = () => {
    for (const signal of given) signal.removeEventListener("abort", abort);
  };
  return { signal: controller.signal, unlink };
}
