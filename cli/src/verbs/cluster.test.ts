import { GroupStatus, StatusReply } from "@nexus-federation/proto/admin.ts";
import { expect, test } from "vitest";
import { holderOf } from "./cluster.ts";

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
