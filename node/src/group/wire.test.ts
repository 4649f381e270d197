import { PeerBatch } from "@nexus-federation/proto/raft.ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Message, message } from "../raft/messages.ts";
import { FrameWriter, readFrame, type WireMessage } from "./wire.ts";
import { WireError, WireReader } from "./wire-bytes.ts";

const id = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ maxLength: 300 });
const entry = fc.record({
  term: id,
  index: id,
  epoch: fc.nat(),
  type: fc.constantFrom("EntryNormal" as const, "EntryConfChangeV2" as const, "EntryEpochChange" as const),
  data: bytes,
});
const wires: fc.Arbitrary<WireMessage> = fc
  .record({ log: id, generation: fc.nat(), quiesce: fc.boolean(), from: id, to: id, term: id, logTerm: id, index: id })
  .chain((base) =>
    fc
      .record({ commit: id, reject: fc.boolean(), rejectHint: id, context: bytes, entries: fc.array(entry) })
      .map(({ commit, reject, rejectHint, context, entries }) => {
        const { log, generation, quiesce, from, to, term, logTerm, index } = base;
        const fields = { from, to, term, logTerm, index, commit, reject, rejectHint, context, entries };
        const m: Message = { ...message("MsgApp", to), ...fields };
        return { log, generation, quiesce, host: undefined, message: m, conf: new Uint8Array(0) };
      }),
  );

function frameOf(all: WireMessage[]): Uint8Array {
  const writer = new FrameWriter();
  for (const wire of all) writer.add(wire);
  return writer.take();
}

test("what was written is read back", () => {
  fc.assert(
    fc.property(fc.array(wires), (all) => {
      const read: WireMessage[] = [];
      readFrame(new WireReader(Uint8Array.from(frameOf(all))), (wire) => read.push(wire));

      expect(read).toEqual(all);
    }),
  );
});

test("the generated code reads the same frames", () => {
  fc.assert(
    fc.property(fc.array(wires), (all) => {
      const { messages } = PeerBatch.decode(frameOf(all));

      expect(messages.length).toBe(all.length);
      for (const [i, { log, message: m, quiesce }] of all.entries()) {
        const { term, logTerm, index, commit, reject, rejectHint, context } = m;
        const expected = { log, quiesce, term, logTerm, index, commit, reject, rejectHint };
        expect(messages[i]).toMatchObject({ ...expected, context: Buffer.from(context) });
        const entries = messages[i]!.entries.map((one) => [one.term, one.index, one.epoch, one.data.toString("hex")]);
        expect(entries).toEqual(
          m.entries.map((one) => [one.term, one.index, one.epoch, Buffer.from(one.data).toString("hex")]),
        );
      }
    }),
  );
});

test("types keep their numbers on the wire", () => {
  const wire = { log: 1, generation: 1, quiesce: false, host: undefined, conf: new Uint8Array(0) };
  const data = new Uint8Array(0);
  const last: Message = { ...message("MsgPreVoteResp", 2), from: 1 };
  const append: Message = { ...message("MsgApp", 2), from: 1 };
  append.entries = [{ term: 1, index: 1, epoch: 0, type: "EntryEpochChange", data }];

  const { messages } = PeerBatch.decode(frameOf([last, append].map((m) => ({ ...wire, message: m }))));

  expect(messages.map(({ type }) => type)).toEqual([14, 2]);
  expect(messages[1]!.entries[0]!.type).toBe(3);
});

test("this code reads what the generated code wrote, in any cut of frames joined", () => {
  fc.assert(
    fc.property(wires, wires, (a, b) => {
      const again = Buffer.concat([a, b].map((wire) => PeerBatch.encode(PeerBatch.decode(frameOf([wire]))).finish()));
      const read: WireMessage[] = [];
      readFrame(new WireReader(Uint8Array.from(again)), (wire) => read.push(wire));

      expect(read).toEqual([a, b]);
    }),
  );
});

test("bytes of any kind are read or refused, and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      try {
        readFrame(new WireReader(noise), () => {});
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }),
  );
});
