import { expect, test } from "vitest";
import type { KubeObject } from "../runtime/objects.ts";
import { object } from "../runtime/testing/needs.ts";
import { isBehind } from "./current.ts";

const namespace = "n";

function cacheOf(...objects: KubeObject[]) {
  return {
    get: ({ name }: { name: string }) => objects.find(({ metadata }) => metadata.name === name),
    list: () => objects,
  };
}

test("a cache is behind while it shows an earlier state, lacks an object, or has one that is gone", () => {
  const live = { items: [object("a", 10)], resourceVersion: "20" };

  expect(isBehind(cacheOf(object("a", 9)), live, namespace)).toBe(true);
  expect(isBehind(cacheOf(), live, namespace)).toBe(true);
  expect(isBehind(cacheOf(object("a", 10), object("gone", 15)), live, namespace)).toBe(true);
});

test("a cache that knows more than the list is not behind", () => {
  const live = { items: [object("a", 10)], resourceVersion: "20" };

  expect(isBehind(cacheOf(object("a", 10)), live, namespace)).toBe(false);
  expect(isBehind(cacheOf(object("a", 25), object("later", 21)), live, namespace)).toBe(false);
});
