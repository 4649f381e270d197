import { expect, test } from "vitest";
import { codeOf, Federation } from "./testing/federation.ts";

/** A box beyond an ocean: this long each way to every other one, ms. */
const wayMs = 140;

async function withFarBox(): Promise<Federation> {
  const federation = await Federation.start(["a", "b", "w", "far"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"]);
  for (const near of ["a", "b", "w"]) {
    federation.cluster.hub.slow("far", near, wayMs);
    federation.cluster.hub.slow(near, "far", wayMs);
  }
  return federation;
}

test("a box beyond an ocean serves writes and reads with one way there and back each", async () => {
  const federation = await withFarBox();
  const { clock } = federation.cluster;
  const tookMs: number[] = [];

  for (let i = 0; i < 20; i++) {
    const fromMs = clock.now();
    expect(codeOf(await federation.write("far", `/docs/${i}`, "x"))).toBe("");
    expect(await federation.read("far", `/docs/${i}`)).toBe("x");
    tookMs.push((clock.now() - fromMs) / 2);
    await federation.cluster.run(i * 50);
  }

  expect(Math.max(...tookMs)).toBeLessThan(4 * wayMs);
  expect(tookMs.toSorted((a, b) => a - b)[10]).toBeLessThan(2.5 * wayMs);
});

test("writes at a box beyond an ocean go on when the leader is lost", async () => {
  const federation = await withFarBox();
  await federation.write("far", "/docs/a", "before");
  const rule = federation.node("far").directory.zone("all");
  const leader = "code" in rule ? undefined : federation.cluster.leader(rule.log)?.name;
  federation.crash(leader ?? "");

  expect(codeOf(await federation.write("far", "/docs/a", "after"))).toBe("");
  expect(await federation.read("far", "/docs/a")).toBe("after");
});
