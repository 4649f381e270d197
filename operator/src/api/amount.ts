/** Suffixes of Kubernetes' amounts. */
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
