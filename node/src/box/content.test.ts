import { createHash } from "node:crypto";
import type { WatchFrame } from "@nexus-federation/proto/files.ts";
import { expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];
const none = Buffer.alloc(0);

function fileAt(path: string) {
  return {
    path,
    content: none,
    chunks: [],
    size: 0,
    etag: none,
    contentType: "text/plain",
    metadata: { k: "v" },
    condition: undefined,
    uploadIndex: 0,
  };
}

async function upload(federation: Federation, box: string, path: string, content: Uint8Array) {
  const session = federation.node(box).box.upload({ options: undefined, write: fileAt(path), zone: "" }, anyone);
  const run = async () => {
    for (let at = 0; at < content.length; at += 100_000) await session.write(content.subarray(at, at + 100_000));
    return session.finish();
  };
  return federation.cluster.settle(run(), 60_000);
}

async function download(
  federation: Federation,
  box: string,
  path: string,
  range: { offset?: number; length?: number } = {},
) {
  const request = { options: undefined, path, offset: range.offset ?? 0, length: range.length, zone: "" };
  const run = async () => {
    const parts: Uint8Array[] = [];
    for await (const { data } of federation.node(box).box.download(request, anyone, new AbortController().signal))
      parts.push(data);
    return Buffer.concat(parts);
  };
  return federation.cluster.settle(run(), 60_000);
}

test("large content goes in and out through a box that holds none of it, whole and by range", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);
  const content = Buffer.from(seededRandom(3).bytes(2_500_000));

  const stored = await upload(federation, "c", "/big", content);

  expect(codeOf(stored)).toBe("");
  const info = stored.result?.$case === "operation" ? stored.result.value.info : undefined;
  expect(info?.size).toBe(content.length);
  expect(info?.etag).toEqual(createHash("sha256").update(content).digest());
  expect((await download(federation, "c", "/big")).equals(content)).toBe(true);
  const part = await download(federation, "a", "/big", { offset: 1_000_000, length: 200_000 });
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

test("a backup restored as a new zone has the same digest and content", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  await federation.write("a", "/docs/one/x", "small");
  const big = Buffer.from(seededRandom(4).bytes(1_500_000));
  await upload(federation, "a", "/docs/two/big", big);
  const { admin } = federation.node("a").box;
  const frames = await federation.cluster.settle(
    (async () => {
      const all = [];
      for await (const frame of admin.backup({ zone: "docs" }, anyone)) all.push(frame);
      return all;
    })(),
  );
  const head = frames[0]?.header;
  expect(head?.zone).toBe("docs");

  const rule = {
    ...federation.rule({ zone: "copy", pattern: "/copy/**", mode: "strong", copiesDeclared: 1 }, 0),
    members: ["c"],
  };
  const header = head && { ...head, newZone: "copy", rule, members: [federation.declared("c")] };
  async function* replay() {
    yield* frames.map((frame, i) => (i === 0 ? { ...frame, header } : frame));
  }
  const restored = await federation.admin(admin.restore(replay(), anyone));

  expect(restored.detail).toBe(Buffer.from(frames.at(-1)?.digest ?? []).toString("hex"));
  expect(await federation.read("b", "/copy/one/x")).toBe("small");
  expect((await download(federation, "c", "/copy/two/big")).equals(big)).toBe(true);
});
