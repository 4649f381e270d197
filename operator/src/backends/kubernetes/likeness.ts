// Whether an object on the server already is what a manifest asks for, so that nothing is written when nothing changes.
// The server adds fields and spells amounts its own way; it takes nothing away.
type Json = Record<string, unknown>;

const factors: Record<string, number> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  Pi: 1024 ** 5,
};

/** Bytes, cores or counts of an amount such as "20Gi", "100m" or 2; undefined when it is none. */
export function amountOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  const match = typeof value === "string" ? /^([0-9]+(?:\.[0-9]+)?)(m|k|[KMGTP]i?)?$/.exec(value) : null;
  return match ? Number(match[1]) * (factors[match[2] ?? ""] ?? Number.NaN) : undefined;
}

/** Every field of `wanted` stands in `found` with the same value. Lists have the same items in the same order. */
export function contains(found: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || found.length !== wanted.length) return false;
    return wanted.every((item, at) => contains(found[at], item));
  }
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof found !== "object" || found === null) return Object.keys(wanted).length === 0 && found === undefined;
    return Object.entries(wanted).every(([name, value]) => contains((found as Json)[name], value));
  }
  if (found === wanted) return true;
  const amount = amountOf(wanted);
  return amount !== undefined && typeof wanted === "string" && amountOf(found) === amount;
}
