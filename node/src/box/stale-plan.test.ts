import { expect, test } from "vitest";
import { anyone, Federation } from "./testing/federation.ts";

test("a plan made from an older rule map is refused at once, and once", async () => {
  const federation = await Federation.start(["a", "b", "w"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"]);
  const { admin } = federation.node("b").box;
  const { map } = admin.status({ zones: false }, anyone);
  const index = () => federation.cluster.leader(1)?.view(1)?.commit ?? 0;
  const [before, startedMs] = [index(), federation.cluster.clock.now()];

  const call = { expectedEpoch: (map?.epoch ?? 0) - 1, rules: map?.rules ?? [] };
  const answer = await federation.cluster.settle(admin.installRules(call, anyone));

  expect(answer).toMatchObject({ failure: { code: "STALE_EPOCH", epoch: map?.epoch } });
  expect(federation.cluster.clock.now() - startedMs).toBeLessThan(1_000);
  expect(index() - before).toBeLessThan(5);
});
