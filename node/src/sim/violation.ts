/** A broken promise of the system, with what was seen. */
export class Violation extends Error {}

export function require(condition: boolean, text: () => string): void {
  if (!condition) throw new Violation(text());
}
