/** A broken invariant: a bug in Nexus. It ends the process; the supervisor restarts it from durable state. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(`invariant broken: ${message}`);
    this.name = "InvariantError";
  }
}

/** Stays on in production. `message` says what must hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never, what = "value"): never {
  throw new InvariantError(`${what} ${JSON.stringify(value)} has no case`);
}

/** Returns `value`, which must be there. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new InvariantError(`${what} is missing`);
  return value;
}
