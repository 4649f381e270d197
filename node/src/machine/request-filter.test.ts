import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { RequestFilter } from "./request-filter.ts";

const id = fc.uint8Array({ minLength: 16, maxLength: 16 });
const steps = fc.array(fc.record({ id, forget: fc.nat({ max: 3 }) }), { maxLength: 2000 });

test("an id that is stored is never denied, whenever the filter began and however many were forgotten", () => {
  fc.assert(
    fc.property(steps, fc.nat({ max: 50 }), (run, begin) => {
      const stored: Uint8Array[] = [];
      let first = 0;
      let filter = new RequestFilter(0);
      for (const [sequence, step] of run.entries()) {
        if (sequence === begin) filter = new RequestFilter(sequence);
        filter.add(step.id, sequence);
        stored.push(step.id);
        first = Math.min(sequence, first + (sequence % 5 === 0 ? step.forget : 0));
        for (const known of stored.slice(first)) expect(filter.mayHave(known, first)).toBe(true);
      }
    }),
    { numRuns: 20 },
  );
});

test("nearly all new ids are told apart at once, and those of an older life only when all of those are forgotten", () => {
  const random = seededRandom(7);
  const filter = new RequestFilter(10);
  for (let i = 0; i < 5000; i++) filter.add(random.bytes(16), 10 + i);

  expect(filter.mayHave(random.bytes(16), 9)).toBe(true);
  const wrong = Array.from({ length: 2000 }, () => random.bytes(16)).filter((one) => filter.mayHave(one, 10));

  expect(wrong.length).toBeLessThan(60);
});
