import { noBytes } from "../base/bytes.ts";
import { type Message, type MessageType, message } from "../raft/messages.ts";
import { EMPTY_CONF_STATE, type Entry, entryTypes, type Snapshot } from "../raft/types.ts";
import { WireError, type WireReader, WireWriter } from "./wire-bytes.ts";

// RaftMessage and PeerBatch of raft.proto, to and from the core's messages. Numbers of types are wire format: append only.

const messageTypes: readonly (MessageType | HostMessageType | undefined)[] = [
  undefined,
  "MsgProp",
  "MsgApp",
  "MsgAppResp",
  "MsgVote",
  "MsgVoteResp",
  "MsgSnap",
  "MsgHeartbeat",
  "MsgHeartbeatResp",
  "MsgTransferLeader",
  "MsgTimeoutNow",
  "MsgReadIndex",
  "MsgReadIndexResp",
  "MsgPreVote",
  "MsgPreVoteResp",
  "HostBootstrap",
  "HostBootstrapResp",
  "HostReseed",
  "MsgCommit",
];
/**
 * Messages between hosts, never shown to the core. HostBootstrap: context = BootstrapRecord; its answer says in `context`
 * why it was refused. HostReseed: the replica lost data and asks the leader to replace it.
 */
export type HostMessageType = "HostBootstrap" | "HostBootstrapResp" | "HostReseed";
const messageNumbers = new Map(messageTypes.map((type, number) => [type, number]));

const entryNumbers = new Map(entryTypes.map((type, number) => [type, number]));

/** A message on its way between boxes, with the log it belongs to. */
export interface WireMessage {
  log: number;
  generation: number;
  /** A heartbeat that lets the receiver stop ticking. */
  quiesce: boolean;
  /** Set instead of a core message's type when hosts talk to each other. */
  host: HostMessageType | undefined;
  /** Invariant: of a snapshot only index, term and epoch are set; `conf` has the rest. */
  message: Message;
  /** GroupConfig of a snapshot. */
  conf: Uint8Array;
}

/** Appends messages for one box; the frame is an encoded PeerBatch. */
export class FrameWriter {
  readonly #out = new WireWriter();
  count = 0;

  get sizeBytes(): number {
    return this.#out.size;
  }

  add(wire: WireMessage): void {
    const { message: m } = wire;
    const out = this.#out;
    out.reserve(256);
    const start = out.open(1);
    out.putNumber(1, wire.log);
    out.putNumber(2, wire.generation);
    out.putNumber(3, m.from);
    out.putNumber(4, m.to);
    out.putNumber(5, messageNumbers.get(wire.host ?? m.type) ?? 0);
    out.putNumber(6, m.term);
    out.putNumber(7, m.logTerm);
    out.putNumber(8, m.index);
    out.putNumber(9, m.commit);
    for (const entry of m.entries) putEntry(out, entry);
    out.reserve(128);
    out.putNumber(11, m.reject ? 1 : 0);
    out.putNumber(12, m.rejectHint);
    out.putBytes(13, m.context);
    if (m.snapshot !== undefined) putSnapshot(out, m.snapshot, wire);
    out.reserve(64);
    out.putNumber(15, m.vote);
    out.putNumber(16, m.epoch);
    out.putNumber(17, wire.quiesce ? 1 : 0);
    out.close(start);
    this.count++;
  }

  /** Field load_delay_ms alone: a sign of life. */
  addLife(): void {
    this.#out.reserve(8);
    this.#out.putNumber(2, 1);
  }

  take(): Uint8Array {
    this.count = 0;
    return this.#out.take();
  }
}

function putEntry(out: WireWriter, entry: Entry): void {
  out.reserve(entry.data.length + 64);
  const start = out.open(10);
  out.putNumber(1, entry.term);
  out.putNumber(2, entry.index);
  out.putNumber(3, entry.epoch);
  out.putNumber(4, entryNumbers.get(entry.type) ?? 0);
  out.putBytes(5, entry.data);
  out.close(start);
}

function putSnapshot(out: WireWriter, snapshot: Snapshot, wire: WireMessage): void {
  out.reserve(wire.conf.length + 64);
  const start = out.open(14);
  out.putNumber(1, snapshot.index);
  out.putNumber(2, snapshot.term);
  out.putNumber(3, snapshot.epoch);
  out.putBytes(4, wire.conf);
  out.putNumber(5, wire.generation);
  out.close(start);
}

/** Messages of an encoded PeerBatch; entries' data are views. Throws WireError on bytes that are none. */
export function readFrame(reader: WireReader, each: (wire: WireMessage) => void): void {
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 10) {
      const wire = readMessage(reader.message());
      if (wire !== undefined) each(wire);
    } else reader.skip(tag);
  }
}

/** Undefined for a type that a newer version may know. */
function readMessage(reader: WireReader): WireMessage | undefined {
  const m = message("MsgHup", 0);
  const wire: WireMessage = { log: 0, generation: 0, quiesce: false, host: undefined, message: m, conf: noBytes };
  const entries: Entry[] = [];
  let type = 0;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 82) entries.push(readEntry(reader.message()));
    else if (tag === 40) type = reader.varint();
    else if (tag === 106) m.context = reader.bytes();
    else if (tag === 114) readSnapshot(reader.message(), wire);
    else if ((tag & 7) === 0) setNumber(wire, tag >>> 3, reader.varint());
    else reader.skip(tag);
  }
  if (entries.length > 0) m.entries = entries;
  const name = messageTypes[type];
  if (name === undefined) return undefined;
  if (name === "HostBootstrap" || name === "HostBootstrapResp" || name === "HostReseed") wire.host = name;
  else m.type = name;
  return wire;
}

function setNumber(wire: WireMessage, field: number, value: number): void {
  const { message: m } = wire;
  switch (field) {
    case 1:
      wire.log = value;
      return;
    case 2:
      wire.generation = value;
      return;
    case 3:
      m.from = value;
      return;
    case 4:
      m.to = value;
      return;
    case 6:
      m.term = value;
      return;
    case 7:
      m.logTerm = value;
      return;
    case 8:
      m.index = value;
      return;
    case 9:
      m.commit = value;
      return;
    case 11:
      m.reject = value !== 0;
      return;
    case 12:
      m.rejectHint = value;
      return;
    case 15:
      m.vote = value;
      return;
    case 16:
      m.epoch = value;
      return;
    case 17:
      wire.quiesce = value !== 0;
      return;
  }
}

function readEntry(reader: WireReader): Entry {
  let [term, index, epoch, type] = [0, 0, 0, 0];
  let data: Uint8Array = noBytes;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8) term = reader.varint();
    else if (tag === 16) index = reader.varint();
    else if (tag === 24) epoch = reader.varint();
    else if (tag === 32) type = reader.varint();
    else if (tag === 42) data = reader.bytes();
    else reader.skip(tag);
  }
  const name = entryTypes[type];
  if (name === undefined) throw new WireError(`entry type ${type} is unknown`);
  return { term, index, epoch, type: name, data };
}

function readSnapshot(reader: WireReader, wire: WireMessage): void {
  let [index, term, epoch] = [0, 0, 0];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8) index = reader.varint();
    else if (tag === 16) term = reader.varint();
    else if (tag === 24) epoch = reader.varint();
    else if (tag === 34) wire.conf = reader.bytes();
    else reader.skip(tag);
  }
  wire.message.snapshot = { index, term, epoch, confState: EMPTY_CONF_STATE, data: noBytes };
}
