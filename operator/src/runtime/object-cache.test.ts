import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ObjectCache } from "./object-cache.ts";
import type { KubeObject } from "./objects.ts";
import { object } from "./testing/needs.ts";

const dataOf = (each: KubeObject) => (each["data"] as { v: string }).v;
const cacheOf = () => new ObjectCache<KubeObject>({ byValue: (each) => [dataOf(each)] }, () => {});

test("another uid under the same name is a deletion and a creation", () => {
  const cache = cacheOf();
  cache.put(object("a", 1, { uid: "1" }));

  const events = cache.put(object("a", 2, { uid: "2" }));

  expect(events.map(({ kind, object: of }) => [kind, of.metadata.uid])).toEqual([
    ["deleted", "1"],
    ["added", "2"],
  ]);
});

test("a list says what it changed, and nothing about what is the same", () => {
  const cache = cacheOf();
  for (const each of [object("same", 1), object("gone", 2), object("changed", 3)]) cache.put(each);

  const events = cache.replace([object("same", 1), object("changed", 5), object("new", 4)]);

  expect(events.map(({ kind, object: of }) => `${kind} ${of.metadata.name}`)).toEqual([
    "deleted gone",
    "updated changed",
    "added new",
  ]);
});

test("an index function that throws is reported, and the object stays in the cache", () => {
  const faults: string[] = [];
  const cache = new ObjectCache<KubeObject>(
    {
      bad: () => {
        throw new Error("poison");
      },
    },
    (index, of) => faults.push(`${index} ${of.metadata.name}`),
  );
  cache.put(object("a", 1));

  expect(cache.get("ns/a")).toBeDefined();
  expect(cache.byIndex("bad", "x")).toEqual([]);
  expect(faults).toEqual(["bad a"]);
});

test("any sequence of events and lists leaves what a plain map would hold, in the indexes too, and events replay to it", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ put: name, uid: fc.constantFrom("1", "2"), v: fc.constantFrom("x", "y") }),
    fc.record({ remove: name }),
    fc.record({ list: fc.uniqueArray(name), uid: fc.constantFrom("1", "2"), v: fc.constantFrom("x", "y") }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const cache = cacheOf();
      const model = new Map<string, KubeObject>();
      const replayed = new Map<string, KubeObject>();
      for (const [index, each] of steps.entries()) {
        const make = (of: string, uid: string, v: string) => object(of, index + 1, { uid, v });
        let events: ReturnType<typeof cache.put>;
        if ("put" in each) {
          const made = make(each.put, each.uid, each.v);
          model.set(each.put, made);
          events = cache.put(made);
        } else if ("remove" in each) {
          events = cache.remove(model.get(each.remove) ?? object(each.remove, index + 1));
          model.delete(each.remove);
        } else {
          model.clear();
          for (const of of each.list) model.set(of, make(of, each.uid, each.v));
          events = cache.replace([...model.values()]);
        }
        for (const event of events) {
          const key = event.object.metadata.name;
          expect(event.kind === "added").toBe(!replayed.has(key));
          if (event.kind === "deleted") replayed.delete(key);
          else replayed.set(key, event.object);
        }
        expect(new Map([...cache.values()].map((of) => [of.metadata.name, of]))).toEqual(model);
        expect(replayed).toEqual(model);
        expect(new Set(cache.inNamespace("ns"))).toEqual(new Set(model.values()));
        expect([...cache.inNamespace("other")]).toEqual([]);
        for (const v of ["x", "y"])
          expect(new Set(cache.byIndex("byValue", v))).toEqual(
            new Set([...model.values()].filter((of) => dataOf(of) === v)),
          );
      }
    }),
  );
});
