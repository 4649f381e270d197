import { WireReader } from "../group/wire-bytes.ts";
import type { DataBox } from "./data-box.ts";
import { require } from "./violation.ts";

// Numbers of group/wire.ts.
const batchMessage = 10;
const [appendResponse, voteResponse] = [3, 5];

interface Told {
  log: number;
  generation: number;
  to: number;
  type: number;
  term: number;
  index: number;
  reject: boolean;
}

/**
 * What a box says on the wire must be true of its disk at that moment: a vote given, entries acknowledged, and the
 * chunks that those entries refer to. It stands between the ports of network and disk and trusts no code between them.
 */
export function checkFrame(box: DataBox, bytes: Uint8Array): void {
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag !== batchMessage) reader.skip(tag);
    else {
      const told = responseIn(reader.message());
      if (told !== undefined) check(box, told);
    }
  }
}

function responseIn(reader: WireReader): Told | undefined {
  const fields = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  let reject = false;
  while (!reader.done) {
    const tag = reader.varint();
    if ((tag & 7) !== 0) {
      reader.skip(tag);
      continue;
    }
    const value = reader.varint();
    if (tag === 40 && value !== appendResponse && value !== voteResponse) return undefined;
    if (tag >> 3 < fields.length) fields[tag >> 3] = value;
    if (tag === 88) reject = value !== 0;
  }
  const [, log = 0, generation = 0, , to = 0, type = 0, term = 0, , index = 0] = fields;
  return { log, generation, to, type, term, index, reject };
}

function check(box: DataBox, told: Told): void {
  if (told.reject || box.watch.damaged) return;
  const { log, generation, to, type, term, index } = told;
  const who = `${box.name} log ${log}`;
  const shadow = box.watch.durable(log, generation);
  if (type === voteResponse) {
    box.world.moment("vote", log);
    const hard = shadow?.hard ?? { term: 0, vote: 0 };
    const durable = hard.term > term || (hard.term === term && hard.vote === to);
    require(durable, () =>
      `${who} tells ${to} of its vote in term ${term}, its disk knows of ${hard.vote} in ${hard.term}`);
    return;
  }
  const end = shadow?.lastIndex ?? 0;
  require(end >= index, () => `${who} acknowledges ${index}, its disk ends at ${end}`);
  const facts = box.world.facts(log, generation);
  for (const { at, chunks } of facts.chunksAfter(shadow?.hard.commit ?? 0)) {
    if (at.index > index || shadow?.termAt(at.index) !== at.term) continue;
    for (const chunk of chunks) {
      require(box.holdsChunk(chunk), () => `${who} acknowledges ${index}, but lacks a chunk of entry ${at.index}`);
    }
  }
}
