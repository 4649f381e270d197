const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a Go duration string such as "1h30m" that the schema accepted. */
export function durationMs(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ns|us|ms|s|m|h)/g)) total += Number(amount) * unitMs[unit!]!;
  return total;
}

const factors: Record<string, number> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** Bytes of a Kubernetes quantity such as "20Gi" that the schema accepted. */
export function quantityBytes(text: string): number {
  const [, amount, unit] = /^([0-9.]+)([A-Za-z]*)$/.exec(text) ?? [];
  return Number(amount) * (factors[unit ?? ""] ?? Number.NaN);
}
