import { createHash } from "node:crypto";
import type { WatchFrame } from "@nexus-federation/proto/files.ts";
import { expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { anyone, codeOf, Federation } from "./testing/federation.ts";
import { downloadWhole, uploadWhole } from "./testing/transfers.ts";

const trio = ["a", "b", "w"];

test("large content goes in and out through a box that holds none of it, whole and by range", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const content = Buffer.from(seededRandom(3).bytes(2_500_000));

  const stored = await uploadWhole(federation, { box: "c", path: "/big" }, content);

  expect(codeOf(stored)).toBe("");
  const info = stored.result?.$case === "operation" ? stored.result.value.info : undefined;
  expect(info?.size).toBe(content.length);
  expect(info?.etag).toEqual(createHash("sha256").update(content).digest());
  expect((await downloadWhole(federation, { box: "c", path: "/big" })).equals(content)).toBe(true);
  const part = await downloadWhole(federation, { box: "a", path: "/big" }, { offset: 1_000_000, length: 200_000 });
  expect(part.equals(content.subarray(1_000_000, 1_200_000))).toBe(true);
  for (const box of ["a", "b"]) expect(federation.chunks.get(box)?.size).toBe(3);
  expect(federation.chunks.get("c")?.size).toBe(0);
});

test("a watch shows changes below its path and goes on after a token", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  const stop = new AbortController();
  const open = (after: string) =>
    federation
      .node("b")
      .box.watch({ options: undefined, path: "/docs/in", after, zone: "" }, anyone, stop.signal)
      [Symbol.asyncIterator]();
  const watch = open("");
  const first = await federation.cluster.settle(watch.next());
  expect(first.value?.alive).toBe(true);

  const next = watch.next();
  await federation.write("a", "/docs/out/x", "unseen");
  await federation.write("a", "/docs/in/x", "seen");
  const seen = await federation.cluster.settle(next);
  await federation.write("a", "/docs/in/y", "later");
  const resumed = await federation.cluster.settle(open(seen.value?.token ?? "").next());
  stop.abort();

  const paths = (value: WatchFrame | undefined) =>
    (value?.events ?? []).filter((event) => event.kind === "created").map((event) => event.path);
  expect(paths(seen.value ?? undefined)).toEqual(["/docs/in/x"]);
  expect(paths(resumed.value ?? undefined)).toEqual(["/docs/in/y"]);
});
