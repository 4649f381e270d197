import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "./codec.ts";
import { binaryText, indexOfJournalKey, moreEventsKey, ordinalOfMoreEventsKey, textOfBinary } from "./keys.ts";
import { MemoryStateStore } from "./memory-store.ts";
import { Overlay } from "./overlay.ts";
import { SortedKeys } from "./sorted-keys.ts";

const key = fc.string({ minLength: 1, maxLength: 2, unit: fc.constantFrom("a", "b", "c", "\u00ff") });
const write = fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 2 }), { nil: undefined }) });
const range = fc.record({
  from: fc.oneof(fc.constant(""), key),
  to: fc.option(key, { nil: undefined }),
  limit: fc.option(fc.nat(4), { nil: undefined }),
  reverse: fc.boolean(),
});

describe("stores", () => {
  it("an overlay over a store reads as one store with all the writes", () => {
    fc.assert(
      fc.property(
        fc.array(write),
        fc.array(write),
        fc.array(write),
        fc.array(range),
        (below, above, undone, ranges) => {
          const base = new MemoryStateStore();
          base.write(below);
          const overlay = new Overlay(base);
          const put = (one: (typeof above)[number]) =>
            one.value ? overlay.put(one.key, one.value) : overlay.delete(one.key);
          const plain = new MemoryStateStore();
          plain.write([...below, ...above]);
          above.slice(0, 3).forEach(put);
          for (const _ of overlay.scan({ from: "" })) break;
          above.slice(3).forEach(put);
          overlay.begin();
          undone.forEach(put);
          overlay.rollback();

          for (const one of ranges) expect([...overlay.scan(one)]).toEqual([...plain.scan(one)]);
          for (const { key: at } of [...below, ...above, ...undone]) expect(overlay.get(at)).toEqual(plain.get(at));
          base.write(overlay.drain());
          expect([...base.scan({ from: "" })]).toEqual([...plain.scan({ from: "" })]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("sorted keys stay sorted over many blocks", () => {
    const keys = new SortedKeys();
    const model = new Set<string>();
    for (let i = 0; i < 5000; i++) {
      const one = String((i * 7919) % 5003);
      keys.add(one);
      model.add(one);
      if (i % 3 === 0) {
        keys.delete(String(i));
        model.delete(String(i));
      }
    }
    const sorted = [...model].sort();
    expect([...keys.range("", undefined)]).toEqual(sorted);
    expect([...keys.rangeReverse("2", "3")]).toEqual(sorted.filter((one) => one >= "2" && one < "3").reverse());
  });

  it("event keys sort by index and ordinal, and text keys by UTF-8 bytes", () => {
    const number = fc.nat(2 ** 31).map((n) => n * 1024);
    fc.assert(
      fc.property(number, number, number, number, (a, b, c, d) => {
        const [x, y] = [moreEventsKey(a, b), moreEventsKey(c, d)];
        expect([indexOfJournalKey(x), ordinalOfMoreEventsKey(x)]).toEqual([a, b]);
        expect(x < y).toBe(a < c || (a === c && b < d));
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(textOfBinary(binaryText(text))).toBe(text);
      }),
    );
  });

  it("values come back as they were written", () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.uint8Array({ maxLength: 3000 }),
        fc.string({ unit: "grapheme", maxLength: 200 }),
        (n, bytes, text) => {
          const reader = new ByteReader(new ByteWriter().varint(n).bytes(bytes).text(text).byte(7).finish());
          expect(reader.varint()).toBe(n);
          expect([...reader.bytes()]).toEqual([...bytes]);
          expect(reader.text()).toBe(text);
          expect(reader.byte()).toBe(7);
          expect(reader.done).toBe(true);
        },
      ),
    );
  });
});
