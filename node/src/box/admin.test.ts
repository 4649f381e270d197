import { expect, test } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

test("a zone grows from one box to two and a witness, and routers hear of it", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**", mode: "strong", copiesDeclared: 1 }, ["a"]);
  await federation.write("c", "/x", "before");
  const members = trio.map((box) => federation.declared(box));

  const request = { zone: "all", revision: 1, hash: "h", members, expectedConfigIndex: 0 };
  await federation.admin(federation.node("c").box.admin.proposeMembership(request, anyone));

  const heard = () => {
    const rule = federation.node("c").directory.zone("all");
    return !isRefusal(rule) && rule.members.includes("b");
  };
  await federation.cluster.until(heard, 20_000, "the new members on c");
  const written = await federation.write("c", "/x", "after", { minCopies: 2 });
  expect(codeOf(written)).toBe("");
  expect(written.receipt?.copies).toBe(2);
});

test("founding twice changes nothing, and a stranger's incarnation cannot found", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  const { admin } = federation.node("a").box;
  const members = trio.map((box) => federation.declared(box));
  const boxes = trio.map((box) => federation.record(box));
  const request = { federation: "fed", members, timing: "region", boxes };

  const again = await federation.cluster.settle(admin.bootstrap(request, anyone));
  const strange = boxes.map((box) => (box.name === "a" ? { ...box, incarnation: Buffer.alloc(16, 9) } : box));
  const refused = await federation.cluster.settle(admin.bootstrap({ ...request, boxes: strange }, anyone));

  expect(again.failure).toBeUndefined();
  expect(refused.failure?.code).toBe("INVALID");
});

test("leadership moves on request, and a zone is destroyed only by its repeated name and without a rule", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  const { admin } = federation.node("b").box;
  const log = federation.node("b").directory.zone("docs");
  const leader = isRefusal(log) ? "" : (federation.cluster.leader(log.log)?.name ?? "");
  const other = leader === "a" ? "b" : "a";

  await federation.admin(admin.transfer({ zone: "docs", box: other }, anyone));
  expect(isRefusal(log) ? "" : federation.cluster.leader(log.log)?.name).toBe(other);

  const destroy = (confirm: string) => federation.cluster.settle(admin.destroyZone({ zone: "docs", confirm }, anyone));
  expect((await destroy("doc")).failure?.code).toBe("INVALID");
  expect((await destroy("docs")).failure?.code).toBe("ZONE_IN_USE");
});

test("who lacks the admin right is refused by every call", async () => {
  const federation = await Federation.start(trio, { system: 3 });
  const { admin } = federation.node("a").box;
  const check = () => ({ code: "DENIED" as const, message: "no" });
  const nobody = { ...anyone, check };

  expect((await admin.drain({ on: true }, nobody)).failure?.code).toBe("DENIED");
  expect((await admin.installRules({ expectedEpoch: 0, rules: [] }, nobody)).failure?.code).toBe("DENIED");
  expect((await admin.transfer({ zone: "system", box: "b" }, nobody)).failure?.code).toBe("DENIED");
});
