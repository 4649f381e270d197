/**
 * True when encoding and decoding the message gives it back. Text with a lone surrogate comes back changed: a leader that
 * applied such a command from memory would part from its followers.
 */
export function survivesEncoding(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.every(survivesEncoding);
  for (const key in value) {
    if (!key.isWellFormed()) return false;
    if (!survivesEncoding((value as Record<string, unknown>)[key])) return false;
  }
  return true;
}
