import fc from "fast-check";
import { expect, test } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { MemoryStateStore } from "../machine/memory-store.ts";
import type { ScanRange, StateStore, StateWrite } from "../machine/store.ts";

const textOf = (store: StateStore, range: ScanRange) =>
  [...store.scan(range)].map(({ key, value }) => `${key}=${Buffer.from(value)}`);
const put = (key: string, value: string): StateWrite => ({ key, value: utf8(value) });

/** What every StateStore must do. `use` makes an empty one, runs the body and cleans up. */
export function testsOfStateStore(use: (body: (store: StateStore) => void | Promise<void>) => Promise<void>): void {
  test("what was written is read, and undefined deletes", () =>
    use((store) => {
      store.write([put("a", "1"), put("b", ""), put("\u0000\u00ff", "bytes")]);
      store.write([{ key: "a", value: undefined }]);

      expect(store.get("a")).toBeUndefined();
      expect(store.get("b")).toHaveLength(0);
      expect(Buffer.from(store.get("\u0000\u00ff")!).toString()).toBe("bytes");
    }));

  test("the last write of a key in a batch wins", () =>
    use((store) => {
      store.write([
        put("a", "1"),
        { key: "a", value: undefined },
        put("a", "3"),
        put("b", "1"),
        { key: "b", value: undefined },
      ]);

      expect(textOf(store, { from: "" })).toEqual(["a=3"]);
    }));

  test("a cut deletes a range after all other writes of its batch", () =>
    use((store) => {
      store.write(["a", "b", "c", "d"].map((key) => put(key, "1")));
      store.get("b");

      store.write([{ key: "b", value: undefined, to: "d" }, put("c", "2"), put("d", "2"), put("e", "2")]);

      expect(textOf(store, { from: "" })).toEqual(["a=1", "d=2", "e=2"]);
      expect(store.get("b")).toBeUndefined();
    }));

  test("a scan has inclusive start, exclusive end, limit and both directions", () =>
    use((store) => {
      store.write(["a", "b", "c", "d", "\u00ff"].map((key) => put(key, key.charCodeAt(0).toString())));

      expect(textOf(store, { from: "b", to: "d" })).toEqual(["b=98", "c=99"]);
      expect(textOf(store, { from: "b", limit: 2, reverse: true })).toEqual(["\u00ff=255", "d=100"]);
      expect(textOf(store, { from: "b", to: "d", reverse: true, limit: 9 })).toEqual(["c=99", "b=98"]);
      expect(textOf(store, { from: "d", to: "b" })).toEqual([]);
      expect(textOf(store, { from: "a", limit: 0 })).toEqual([]);
    }));

  test("a scan shows the state of the moment it was asked for, however long it is and whatever is written", () =>
    use((store) => {
      const keys = Array.from({ length: 1000 }, (_, i) => `k${i.toString().padStart(4, "0")}`);
      store.write(keys.map((key) => put(key, "old")));

      const pairs = store.scan({ from: "k" });
      store.write(keys.map((key, i) => (i % 2 ? put(key, "new") : { key, value: undefined })));

      const seen = [...pairs];
      expect(seen.map((pair) => pair.key)).toEqual(keys);
      expect(seen.every((pair) => Buffer.from(pair.value).toString() === "old")).toBe(true);
    }));

  test("any sequence of batches reads like a sorted map", () => {
    const key = fc.stringMatching(/^[a-c]{1,3}$/);
    const batch = fc.array(fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 9 }), { nil: undefined }) }));
    const range = fc.record({
      from: key,
      to: fc.option(key, { nil: undefined }),
      reverse: fc.boolean(),
      limit: fc.integer({ min: 1, max: 600 }),
    });
    return fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 8 }), fc.array(range), (batches, ranges) =>
        use((store) => {
          const model = new MemoryStateStore();
          for (const writes of batches) {
            store.write(writes);
            model.write(writes);
          }
          for (const each of ranges) expect(textOf(store, each)).toEqual(textOf(model, each));
          for (const { key: one } of batches.flat()) expect(toText(store.get(one))).toEqual(toText(model.get(one)));
        }),
      ),
      { numRuns: 30 },
    );
  });
}

const toText = (value: Uint8Array | undefined) => value && Buffer.from(value).toString("hex");
