import { expect, test } from "vitest";
import { anyone, Federation } from "./testing/federation.ts";

test("a box that belongs to a federation founds no second system zone", async () => {
  const federation = await Federation.start(["a", "b", "w", "c"], { system: 3 });
  const call = {
    federation: "fed",
    members: [federation.declared("c")],
    timing: "region",
    boxes: [federation.record("c")],
  };

  const refused = await federation.cluster.settle(federation.node("c").box.admin.bootstrap(call, anyone));

  expect(refused).toMatchObject({ failure: { code: "ALREADY_EXISTS" } });
  expect(federation.cluster.box("c").host.has(1)).toBe(false);
});
