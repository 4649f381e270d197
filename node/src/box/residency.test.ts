import { expect, test } from "vitest";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];
const regions = ["region-a", "region-b"];

async function withHome(): Promise<Federation> {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "home", pattern: "/home/**", regions }, trio);
  return federation;
}

test("members outside the regions of a rule are refused, naming the box and its region; a witness may stand anywhere", async () => {
  const federation = await withHome();
  const { admin } = federation.node("a").box;
  const outside = {
    code: "INVALID",
    message: expect.stringMatching(/box c stands in region region-c.*region-a, region-b/),
  };
  const members = [federation.declared("c")];

  const rule = federation.rule({ zone: "far", pattern: "/far/**", regions }, 0);
  const made = admin.ensureZone({ zone: "far", members, timing: "region", group: "", rule }, anyone);
  expect((await federation.cluster.settle(made)).failure).toMatchObject(outside);

  const all = [...trio.map((box) => federation.declared(box)), federation.declared("c", "learner")];
  const call = { zone: "home", revision: 1, hash: "x", members: all, expectedConfigIndex: 0 };
  const proposed = admin.proposeMembership(call, anyone);
  expect((await federation.cluster.settle(proposed)).failure).toMatchObject(outside);

  await expect(federation.zone({ zone: "far", pattern: "/far/**", regions }, ["c"])).rejects.toThrow(/box c stands in/);
});

test("data of a zone passes no box outside its regions, changes may come from anywhere", async () => {
  const federation = await withHome();

  const written = await federation.write("c", "/home/x", "mine");

  expect(codeOf(written)).toBe("");
  expect(await federation.read("a", "/home/x")).toBe("mine");
  expect(await federation.read("c", "/home/x")).toBe("DENIED");
  expect(await federation.read("c", "/zone:home/x")).toBe("DENIED");
});
