import { assert } from "./assert.ts";

/** Fences are printed as one integer, generation * 2^40 + counter, so that stores outside can compare them. */
const counterBits = 40n;

export function printFence(generation: number, counter: number): string {
  assert(counter > 0 && counter < 2 ** 40, "a fence counter fits 40 bits");
  return ((BigInt(generation) << counterBits) + BigInt(counter)).toString();
}

/** Undefined when `text` is not a printed fence. */
export function parseFence(text: string): { generation: number; counter: number } | undefined {
  if (!/^[0-9]{1,20}$/.test(text)) return undefined;
  const value = BigInt(text);
  const generation = Number(value >> counterBits);
  const counter = Number(value & ((1n << counterBits) - 1n));
  return counter > 0 && Number.isSafeInteger(generation) ? { generation, counter } : undefined;
}
