import { expect, test } from "vitest";
import { noBytes } from "../base/bytes.ts";
import { seededRandom } from "../base/seeded-random.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { type Message, message } from "./messages.ts";
import { RawNode } from "./rawnode.ts";
import { EMPTY_CONF_STATE } from "./types.ts";

const confState = { ...EMPTY_CONF_STATE, voters: [1, 2, 3] };

function follower(): RawNode {
  const storage = new MemoryStorage();
  storage.applySnapshot({ index: 1, term: 1, epoch: 0, confState, data: noBytes });
  const timing = { electionTick: 15, heartbeatTick: 5, inflightCountMax: 16 };
  const options = { asyncStorageWrites: true, quietCommits: true };
  return new RawNode({ id: 1, storage, random: seededRandom(1), ...timing, ...options });
}

function fromLeader(type: "MsgApp" | "MsgCommit" | "MsgSnap", more: Partial<Message>): Message {
  return { ...message(type, 1), from: 2, term: 2, ...more };
}

function writes(node: RawNode): Message[] {
  return node.ready().messages.filter(({ type }) => type === "MsgStorageAppend");
}

test("a commit that moved alone asks for no write, and stands in the write of the next entries", () => {
  const node = follower();
  const entry = (index: number) => ({ index, term: 2, epoch: 0, type: "EntryNormal" as const, data: noBytes });
  node.step(fromLeader("MsgApp", { index: 1, logTerm: 1, commit: 1, entries: [entry(2)] }));
  expect(writes(node)).toMatchObject([{ term: 2, commit: 1 }]);

  node.step(fromLeader("MsgCommit", { commit: 2 }));
  expect(node.hasReady() ? writes(node) : []).toEqual([]);

  node.step(fromLeader("MsgApp", { index: 2, logTerm: 2, commit: 2, entries: [entry(3)] }));
  expect(writes(node)).toMatchObject([{ term: 2, commit: 2 }]);
});

test("the write of a snapshot says that it is committed", () => {
  const node = follower();
  node.step(fromLeader("MsgApp", { index: 1, logTerm: 1, commit: 1 }));
  writes(node);

  const snapshot = { index: 22, term: 2, epoch: 0, confState, data: noBytes };
  node.step(fromLeader("MsgSnap", { snapshot }));

  expect(writes(node)).toMatchObject([{ term: 2, commit: 22 }]);
});
