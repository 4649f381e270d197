import { expect, test } from "vitest";
import { codeOf, Federation, writeOp } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

test("a file written through any box is read through every other, with a truthful receipt", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, trio);

  const written = await federation.write("c", "/docs/a.txt", "hello");

  expect(codeOf(written)).toBe("");
  expect(written.receipt).toMatchObject({ zone: "all", mode: "strong_ha", copies: 2, degraded: false, stalenessMs: 0 });
  expect(written.receipt?.regions).toEqual(["region-a", "region-b"]);
  for (const box of ["a", "b", "c"]) expect(await federation.read(box, "/docs/a.txt")).toBe("hello");
});
