import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { RequestIndex } from "./request-index.ts";

const id = fc.uint8Array({ minLength: 16, maxLength: 16 });
const steps = fc.array(fc.record({ id, gap: fc.integer({ min: 1, max: 5000 }), forget: fc.nat({ max: 3 }) }), {
  maxLength: 2000,
});

test("an id that is remembered is found at its index, however many were forgotten", () => {
  fc.assert(
    fc.property(steps, (run) => {
      const stored: { id: Uint8Array; index: number }[] = [];
      const index = new RequestIndex();
      let [at, oldest] = [0, 0];
      for (const [turn, step] of run.entries()) {
        at += step.gap;
        index.add(step.id, at);
        stored.push({ id: step.id, index: at });
        oldest = Math.min(turn, oldest + (turn % 5 === 0 ? step.forget : 0));
        const first = stored[oldest]!.index;
        for (const known of stored.slice(oldest)) expect(index.find(known.id, first)).toContain(known.index);
        for (const gone of stored.slice(0, oldest)) expect(index.find(gone.id, first)).not.toContain(gone.index);
      }
    }),
    { numRuns: 15 },
  );
});

test("new ids are told apart at once, though thousands are remembered", () => {
  const random = seededRandom(7);
  const index = new RequestIndex();
  for (let i = 0; i < 50_000; i++) index.add(random.bytes(16), i);

  const wrong = Array.from({ length: 5000 }, () => random.bytes(16)).filter((one) => index.find(one, 0).length > 0);

  expect(wrong).toEqual([]);
});
