import { ruleOf } from "@nexus-federation/node/tree/testing/rule.ts";
import { GroupStatus, StatusReply } from "@nexus-federation/proto/admin.ts";
import { expect, test } from "vitest";
import { groupsOf, holderOf, readyOf } from "./cluster.ts";

function reply(box: string, groups: Partial<GroupStatus>[]): StatusReply {
  const none = new Uint8Array(0);
  return {
    ...StatusReply.decode(none),
    box,
    groups: groups.map((group) => ({ ...GroupStatus.decode(none), ...group })),
  };
}

test("the box asked for a zone's content is its leader, else a follower, else a learner, else none", () => {
  const a = reply("a", [{ zone: "x", role: "learner", term: 9 }]);
  const b = reply("b", [
    { zone: "y", role: "leader", term: 9 },
    { zone: "x", role: "follower", term: 2 },
  ]);
  const c = reply("c", [{ zone: "x", role: "leader", term: 3 }]);

  expect(holderOf([a, b, c], "x")).toBe("c");
  expect(holderOf([a, b], "x")).toBe("b");
  expect(holderOf([a], "x")).toBe("a");
  expect(holderOf([a, b, c], "z")).toBeUndefined();
});

test("a log is described by its last generation, then by its leader, then by the highest term", () => {
  const old = reply("a", [{ log: 5, zone: "x", role: "leader", term: 90, generation: 1 }]);
  const follower = reply("b", [{ log: 5, zone: "x", role: "follower", term: 3, generation: 2 }]);
  const later = reply("c", [{ log: 5, zone: "x", role: "follower", term: 4, generation: 2 }]);
  const leader = reply("d", [{ log: 5, zone: "x", role: "leader", term: 3, generation: 2 }]);

  expect(groupsOf([old, follower]).map(({ box }) => box)).toEqual(["b"]);
  expect(groupsOf([follower, later]).map(({ box }) => box)).toEqual(["c"]);
  expect(groupsOf([later, leader, follower]).map(({ box }) => box)).toEqual(["d"]);
});

test("a zone without a leader, or whose mode is changing, is not ready", () => {
  const none = new Uint8Array(0);
  const rule = ruleOf({ zone: "x" });
  const group: GroupStatus = { ...GroupStatus.decode(none), zone: "x", leader: "a", mode: "strong" };
  const pending = { epoch: 2, rules: [{ ...rule, mode: "eventual" }] };

  expect(readyOf(rule, { group, pending: undefined })).toBe(true);
  expect(readyOf(rule, { group, pending })).toBe(false);
  expect(readyOf(rule, { group: { ...group, mode: "eventual" }, pending: undefined })).toBe(false);
  expect(readyOf(rule, { group: { ...group, leader: "" }, pending: undefined })).toBe(false);
});
