import type { BackupFrame, DeclaredMember } from "@nexus-federation/proto/admin.ts";
import { type FileInfo, FileInfo as FileInfoCodec, type ZoneRule } from "@nexus-federation/proto/records.ts";
import { asBuffer } from "../base/bytes.ts";
import { type Clock, delay } from "../base/clock.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import type { Groups } from "../group/api.ts";
import type { FrozenMachine } from "../group/machine-states.ts";
import { bulkFrameBytes } from "../transport/ports.ts";
import type { ZoneReader, ZoneStates } from "../zones/ports.ts";
import type { Directory } from "./directory.ts";
import { chunkOf } from "./downloads.ts";
import type { ChunkStore, ChunkTransfer, Hashing } from "./ports.ts";
import type { MachineOwner } from "./zone-states.ts";
import { walkZone, ZoneDigest } from "./zone-walk.ts";

/** Version of the stream: a record is u32 length and FileInfo, and after a file's record its `size` bytes of content. */
export const backupFormat = 1;
/** Bytes gathered before frames go out. */
const frameBytes = 64 * 1024;
/** Entries read before others get their turn: about 2 ms. */
const sliceEntries = 64;
const readIndexMs = 10_000;

export interface BackupNeeds {
  clock: Clock;
  groups: Groups;
  states: ZoneStates;
  machines: MachineOwner;
  directory: Directory;
  chunks: ChunkStore;
  transfer: ChunkTransfer;
  hashing: Hashing;
}

/**
 * A zone as a stream of what is in it at one moment: the state is frozen, then read in slices, so that memory stays
 * bounded and the box goes on serving. Chunks, which cannot change, are fetched by their address while it streams; one
 * that was dropped meanwhile everywhere ends the backup with a sentence.
 */
export async function* backupZone(needs: BackupNeeds, zone: string): AsyncGenerator<BackupFrame, void, void> {
  const taken = await take(needs, zone);
  if (isRefusal(taken)) return yield backupFrame({ last: true, failure: failureOf(taken) });
  const { rule, frozen } = taken;
  try {
    const { generation, appliedIndex: index } = frozen.machine;
    const none = Buffer.alloc(0);
    const members = membersOf(needs.groups, rule.log);
    const header = { zone, generation, index, format: backupFormat, digest: none, newZone: "", rule, members };
    yield backupFrame({ header });
    yield* contents(needs, rule, frozen.machine);
  } catch (error) {
    yield backupFrame({ last: true, failure: failureOf(refuse("ZONE_UNAVAILABLE", messageOf(error))) });
  } finally {
    frozen.close();
  }
}

/** Who holds the zone now, the witness included: a restore makes it anew with the same. */
function membersOf(groups: Groups, log: number): DeclaredMember[] {
  return (groups.view(log)?.config.members ?? []).map(({ box, role }) => ({ box, role }));
}

async function take(needs: BackupNeeds, zone: string): Promise<{ rule: ZoneRule; frozen: FrozenMachine } | Refusal> {
  const { directory, groups, states, machines } = needs;
  const rule = directory.zone(zone);
  if (isRefusal(rule)) return rule;
  const leaderBox = groups.view(rule.log)?.leaderBox || (rule.members[0] ?? "");
  const absent = refuse("NO_LEADER", `this box has no replica of zone ${zone} that may serve`, { leaderBox });
  if (!groups.has(rule.log)) return absent;
  const refused = await new Promise<Refusal | undefined>((resolve) => {
    groups.readIndex(rule.log, (unfit) => resolve(unfit), readIndexMs);
  });
  if (refused !== undefined) return refused;
  const frozen = states.reader(rule.log) === undefined ? undefined : machines.freeze(rule.log);
  return frozen === undefined ? absent : { rule, frozen };
}

/** Ends with a frame that says `last`: with the digest of everything before, or with the failure that cut it short. */
async function* contents(
  needs: BackupNeeds,
  rule: ZoneRule,
  reader: ZoneReader,
): AsyncGenerator<BackupFrame, void, void> {
  const { clock, hashing } = needs;
  const holders = { log: rule.log, boxes: rule.members };
  const digest = new ZoneDigest(hashing);
  const signal = new AbortController().signal;
  let gathered: Buffer[] = [];
  let size = 0;
  let sliced = 0;
  const gather = (bytes: Uint8Array) => {
    gathered.push(asBuffer(bytes));
    size += bytes.length;
  };
  const flushed = function* () {
    const data = Buffer.concat(gathered);
    gathered = [];
    size = 0;
    for (let at = 0; at < data.length; at += bulkFrameBytes) {
      yield backupFrame({ data: data.subarray(at, at + bulkFrameBytes) });
    }
  };
  const list = async (path: string, page: string) => reader.list(path, { page, limit: sliceEntries });
  for await (const info of walkZone(list)) {
    if (isRefusal(info)) return yield backupFrame({ last: true, failure: failureOf(info) });
    digest.add(info);
    gather(recordOf(info));
    const read = info.type === "file" ? reader.read(info.path) : undefined;
    if (isRefusal(read)) return yield backupFrame({ last: true, failure: failureOf(read) });
    if (read !== undefined) gather(read.content);
    for (const ref of read?.chunks ?? []) {
      yield* flushed();
      gather(await chunkOf(needs, ref, holders, signal));
    }
    if (size >= frameBytes) yield* flushed();
    if (++sliced % sliceEntries === 0) await delay(clock, 0);
  }
  yield* flushed();
  yield backupFrame({ last: true, digest: asBuffer(digest.finish()) });
}

function recordOf(info: FileInfo): Buffer {
  const bytes = FileInfoCodec.encode({ ...info, chunks: [] }).finish();
  const record = Buffer.allocUnsafe(4 + bytes.length);
  record.writeUInt32BE(bytes.length);
  record.set(bytes, 4);
  return record;
}

export function backupFrame(part: Partial<BackupFrame>): BackupFrame {
  const none = Buffer.alloc(0);
  return { header: undefined, data: none, last: false, digest: none, failure: undefined, ...part };
}
