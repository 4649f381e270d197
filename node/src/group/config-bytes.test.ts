import { BootstrapRecord, ConfigChangeData, GroupConfig, MembershipTarget } from "@nexus-federation/proto/raft.ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { must } from "../base/assert.ts";
import { badBytes } from "../base/testing/bent.ts";
import { encodeConfChange } from "../raft/confchange/codec.ts";
import { message } from "../raft/messages.ts";
import { firstConfig } from "./config.ts";
import { bannedMax, checkEntry, readChange, readConfig } from "./config-bytes.ts";
import { encodeTarget } from "./entry.ts";
import { Cluster } from "./testing/cluster.ts";
import { FrameWriter } from "./wire.ts";
import { WireError, WireWriter } from "./wire-bytes.ts";

const member = (replica: number, role: string) => ({
  replica,
  box: `box-${replica}`,
  incarnation: Buffer.alloc(16, replica),
  role,
});
const members = [member(1, "voter"), member(2, "voter"), member(3, "witness"), member(4, "learner")];
const config = firstConfig(members, { zone: "z", timing: "region", federationUid: "fed" });
const bytes = (more: Partial<GroupConfig> = {}) => GroupConfig.encode({ ...config, ...more }).finish();
const change = encodeConfChange({
  transition: "ConfChangeTransitionAuto",
  changes: [{ type: "ConfChangeAddLearnerNode", nodeId: 5 }],
  context: ConfigChangeData.encode({
    transition: 0,
    steps: [],
    members: [member(5, "learner")],
    nextReplica: 6,
  }).finish(),
});
const target = encodeTarget({ revision: 1, hash: "h", members: [], failure: "" });

test("a configuration comes back as it was written", () => {
  expect(readConfig(bytes())).toEqual(config);
  expect(readConfig(new Uint8Array(0)).voters).toEqual([]);
});

test.each<[string, Partial<GroupConfig>]>([
  ["a replica id twice", { voters: [1, 1, 2, 3] }],
  ["replica id 0", { voters: [0, 1, 2, 3] }],
  ["a voter nobody stands behind", { voters: [1, 2, 3, 9] }],
  ["no voter", { voters: [], witnesses: [] }],
  ["a learner that votes", { learners: [2] }],
  ["a learner to be that is no outgoing voter", { learnersNext: [4], learners: [] }],
  ["a witness without a vote", { witnesses: [4] }],
  ["a joint change to be left that was not entered", { autoLeave: true }],
  [
    "an incarnation of another length",
    { members: [...members.slice(0, 3), { ...member(4, "learner"), incarnation: Buffer.alloc(3) }] },
  ],
  ["more bans than are kept", { banned: Array.from({ length: bannedMax + 1 }, () => Buffer.alloc(16)) }],
])("a configuration with %s is refused", (_what, more) => {
  expect(() => readConfig(bytes(more))).toThrow(WireError);
});

test("bent and random bytes are one WireError or a configuration in bounds, whatever they were meant to be", () => {
  const samples = fc.oneof(badBytes(bytes()), badBytes(change), badBytes(target));
  fc.assert(
    fc.property(samples, (bad) => {
      for (const read of [
        () => readConfig(bad),
        () => readChange(bad),
        () => checkEntry("EntryConfChangeV2", bad),
        () => checkEntry("EntryNormal", bad),
      ]) {
        try {
          read();
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ["configuration change", "EntryConfChangeV2", Uint8Array.of(1, 0, 1, 0, 5, 0xff)],
  ["configuration change of a later version", "EntryConfChangeV2", Uint8Array.of(9)],
  ["declaration of members", "EntryNormal", Uint8Array.of(3, 0xff)],
] as const)("a leader's entry that is no %s gets into no log, and the follower goes on", async (_what, type, data) => {
  const cluster = new Cluster();
  await cluster.start("a", "b", "c");
  await cluster.bootstrap(["a", "b", "c"]);
  await cluster.put("/x", "1");
  const leader = await cluster.elected();
  const other = cluster.box(leader.name === "a" ? "b" : "a");
  await cluster.until(() => other.content("/x") === "1");
  const { term, applied } = must(leader.view(), "view of the leader");
  const from = must(leader.view()?.config.members.find((one) => one.box === leader.name)?.replica, "replica");
  const to = must(leader.view()?.config.members.find((one) => one.box === other.name)?.replica, "replica");
  const entries = [{ term, index: applied + 1, epoch: 0, type, data }];
  const m = { ...message("MsgApp", to), from, term, logTerm: term, index: applied, entries, commit: applied + 1 };
  const writer = new FrameWriter();
  const none = new Uint8Array(0);
  writer.add({ log: 1, generation: 1, quiesce: false, host: undefined, conf: none, message: m });

  leader.network.send("raft", other.name, writer.take());
  await cluster.run(100);

  expect(other.fatal).toBeUndefined();
  await cluster.put("/y", "2");
  await cluster.until(() => other.content("/y") === "2");
});

test("a log or generation beyond what a log's keys can hold is called for in vain", async () => {
  const cluster = new Cluster();
  await cluster.start("a", "b");
  const [a, b] = [cluster.box("a"), cluster.box("b")];
  const none = new Uint8Array(0);
  const log = { log: 9, generation: 2 ** 16 };
  const record = { ...log, zone: "z", federationUid: "fed", timing: "region", members: [member(1, "voter")] };
  const context = BootstrapRecord.encode(record).finish();
  const writer = new FrameWriter();
  const calls = [{ ...message("MsgHeartbeat", 1), from: 2, term: 3 }];
  for (const where of [log, { log: 2 ** 40, generation: 1 }]) {
    for (const m of calls) writer.add({ ...where, quiesce: false, host: undefined, conf: none, message: m });
  }
  writer.add({
    ...log,
    quiesce: false,
    host: "HostBootstrap",
    conf: none,
    message: { ...message("MsgHup", 0), context },
  });

  a.network.send("raft", "b", writer.take());
  await cluster.run(100);

  expect(b.fatal).toBeUndefined();
  expect(b.host.logs()).toEqual([]);
});

test("a replica whose stored configuration cannot be read is replaced, and its box goes on with the others", async () => {
  const cluster = new Cluster();
  await cluster.start("a", "b", "c");
  await cluster.bootstrap(["a", "b", "c"]);
  await cluster.put("/x", "1");
  await cluster.run(500);
  const leader = await cluster.elected();
  const other = cluster.box(leader.name === "a" ? "b" : "a");
  const { database } = other.states;
  const id = database.live(1, 1);
  const { appliedIndex } = must(database.position(id), "position");
  const writer = new WireWriter();
  writer.putNumber(1, must(other.view(), "view").term);
  writer.putBytes(3, Uint8Array.of(0xff, 1));
  database.commit([{ id, writes: [], position: { appliedIndex, data: writer.take() } }]);
  await cluster.settle(database.flush());

  other.crash();
  await other.start();

  expect(other.fatal).toBeUndefined();
  expect(other.view()?.needsReplication).toBe(true);
  await cluster.until(
    () => other.view()?.needsReplication === false && other.content("/x") === "1",
    20_000,
    "it is back",
  );
});

test("changes and declarations as they are written pass", () => {
  checkEntry("EntryConfChangeV2", change);
  checkEntry("EntryConfChangeV2", new Uint8Array(0));
  checkEntry("EntryNormal", target);
  expect(MembershipTarget.decode(target.subarray(1)).revision).toBe(1);
});
