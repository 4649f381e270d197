import fc from "fast-check";
import { expect, test } from "vitest";
import { badBytes } from "../base/testing/bent.ts";
import { message } from "../raft/messages.ts";
import { FrameWriter, readFrame, type WireMessage } from "./wire.ts";
import { WireError, WireReader } from "./wire-bytes.ts";

const none = new Uint8Array(0);

function frame(): Uint8Array {
  const writer = new FrameWriter();
  const data = Buffer.from("some content");
  const entries = [{ term: 3, index: 9, epoch: 1, type: "EntryNormal" as const, data }];
  const common = { log: 7, generation: 1, quiesce: false, host: undefined, conf: none };
  writer.add({ ...common, message: { ...message("MsgApp", 2), from: 1, term: 3, index: 8, entries, commit: 8 } });
  writer.add({ ...common, message: { ...message("MsgHeartbeat", 2), from: 1, term: 3, context: data } });
  return Uint8Array.from(writer.take());
}

test("bent and random frames of peers give messages in bounds or one WireError", () => {
  fc.assert(
    fc.property(badBytes(frame()), (bytes) => {
      const read: WireMessage[] = [];
      try {
        readFrame(new WireReader(bytes), (wire) => read.push(wire));
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
      for (const { message: m, log, conf } of read) {
        for (const number of [log, m.from, m.to, m.term, m.index, m.commit]) expect(number >= 0).toBe(true);
        const held = m.entries.reduce((sum, entry) => sum + entry.data.length, conf.length + m.context.length);
        expect(held).toBeLessThanOrEqual(bytes.length);
        expect(m.entries.length).toBeLessThanOrEqual(bytes.length);
      }
    }),
    { numRuns: 1000 },
  );
});
