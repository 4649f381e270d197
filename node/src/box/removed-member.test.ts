import { expect, test } from "vitest";
import { anyone, Federation } from "./testing/federation.ts";

test("boxes whose replicas were removed pass requests on to the members, also who was away meanwhile", async () => {
  const federation = await Federation.start(["a", "b", "c", "w"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "c"]);
  await federation.write("a", "/x", "before");
  const { admin } = federation.node("a").box;
  await federation.admin(admin.transfer({ zone: "all", box: "b" }, anyone));
  await federation.cluster.run(500);
  federation.crash("c");
  const call = { zone: "all", revision: 2, hash: "2", members: [federation.declared("a")], expectedConfigIndex: 0 };
  await federation.admin(admin.proposeMembership(call, anyone));
  const { log } = federation.node("a").directory.map.rules.find((rule) => rule.zone === "all")!;
  const alone = () => federation.cluster.box("a").host.membershipReached(log);
  await federation.cluster.until(alone, 10_000, "a alone");
  await federation.write("a", "/x", "after");

  await federation.restart("c");

  expect(await federation.read("b", "/x", { timeoutMs: 5_000 })).toBe("after");
  expect(await federation.read("c", "/x", { timeoutMs: 5_000 })).toBe("after");
});
