import { expect, test } from "vitest";
import { noBytes, utf8 } from "../base/bytes.ts";
import { seededRandom } from "../base/seeded-random.ts";
import type { TickCount } from "./config.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { RawNode } from "./rawnode.ts";
import { EMPTY_CONF_STATE } from "./types.ts";

const ids = [1, 2, 3];

interface Member {
  id: number;
  node: RawNode;
  storage: MemoryStorage;
}

function member(id: number, seed: number, ticks: TickCount | undefined): Member {
  const storage = new MemoryStorage();
  storage.applySnapshot({
    index: 1,
    term: 1,
    epoch: 0,
    confState: { ...EMPTY_CONF_STATE, voters: ids },
    data: noBytes,
  });
  const timing = { electionTick: 15, heartbeatTick: 5, inflightCountMax: 16, checkQuorum: true, preVote: true };
  const counted = ticks === undefined ? {} : { ticks };
  return { id, storage, node: new RawNode({ id, storage, random: seededRandom(seed + id), ...timing, ...counted }) };
}

/** Everything that three replicas say, with the tick at which they say it; whoever leads is cut off now and then. */
function story(seed: number, skips: boolean): string[] {
  const ticks: TickCount = { value: 0 };
  const members = ids.map((id) => member(id, seed, skips ? ticks : undefined));
  const draw = seededRandom(seed);
  const said: string[] = [];
  let cutOff = 0;
  for (let tick = 1; tick <= 600; tick++) {
    ticks.value = tick;
    for (const { node } of members) if (!skips || node.isDue) node.tick();
    const leader = members.find(({ node }) => node.raft.state === "StateLeader");
    if (draw.unit() < 0.1) leader?.node.propose([utf8(`${tick}`)]);
    if (draw.unit() < 0.02) cutOff = cutOff === 0 ? (leader?.id ?? 0) : 0;
    exchange(members, (from, to, text) => {
      said.push(`${tick} ${text}`);
      return from !== cutOff && to !== cutOff;
    });
  }
  return said;
}

/** Until nobody has anything to say. */
function exchange(members: Member[], passes: (from: number, to: number, text: string) => boolean): void {
  for (let moved = true; moved; ) {
    moved = false;
    for (const { id, node, storage } of members) {
      if (!node.hasReady()) continue;
      moved = true;
      const { hardState, entries, messages } = node.ready();
      if (hardState !== undefined) storage.setHardState(hardState);
      storage.append(entries);
      node.advance();
      for (const m of messages) {
        const text = `${m.type} ${id}->${m.to} term ${m.term} index ${m.index} commit ${m.commit} ${m.reject}`;
        if (passes(id, m.to, text)) members[m.to - 1]?.node.step(m);
      }
    }
  }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])("ticks that only count may be left out: seed %i is told the same way", (seed) => {
  const told = story(seed, false);

  expect(told.some((line) => line.includes("MsgVote"))).toBe(true);
  expect(told.some((line) => line.includes("MsgApp "))).toBe(true);
  expect(story(seed, true)).toEqual(told);
});
