import {
  type AdminReply,
  type BackupFrame,
  type BackupHeader,
  EnsureZoneRequest,
  InstallRulesRequest,
} from "@nexus-federation/proto/admin.ts";
import type { FileInfo } from "@nexus-federation/proto/records.ts";
import { FileInfo as FileInfoCodec } from "@nexus-federation/proto/records.ts";
import { equalBytes, hexOf } from "../base/bytes.ts";
import { type Clock, delay } from "../base/clock.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import { failureOf } from "../zones/answers.ts";
import type { ZoneReader, ZoneStates } from "../zones/ports.ts";
import { callAt, doneReply, refusedReply } from "./admin-replies.ts";
import type { BoxApi } from "./api.ts";
import { type Ask, ownCaller, refusalIn } from "./ask.ts";
import { BackupParser } from "./backup-parser.ts";
import { asBuffer } from "./content.ts";
import { type Directory, systemZone } from "./directory.ts";
import type { Hashing } from "./ports.ts";
import { type ListPage, walkZone, ZoneDigest } from "./zone-walk.ts";

/** Version of the stream: a record is u32 length and FileInfo, and after a file's record its `size` bytes of content. */
const format = 1;
/** Entries and inline bytes of a zone that fit a backup: they are read in one moment and held in memory. */
const entriesMax = 1_000_000;
const inlineBytesMax = 512 * 1024 * 1024;

/** How long the new zone's rule is waited for here. */
const mapLookMs = 50;
const mapLooksMax = 100;

export interface BackupNeeds {
  clock: Clock;
  box: Pick<BoxApi, "upload" | "download">;
  ask: Ask;
  groups: Groups;
  states: ZoneStates;
  directory: Directory;
  hashing: Hashing;
}

interface Kept {
  info: FileInfo;
  content: Uint8Array | undefined;
}

/**
 * A zone as a stream of what is in it, and back under a new name. A backup shows one moment: all metadata and inline
 * content are read without a pause; chunks, which cannot change, are fetched while it streams.
 */
export class Backups {
  readonly #needs: BackupNeeds;

  constructor(needs: BackupNeeds) {
    this.#needs = needs;
  }

  /** On a box with a replica of the zone; NO_LEADER names one otherwise. */
  async *backup(zone: string): AsyncGenerator<BackupFrame, void, void> {
    const taken = await this.#take(zone);
    if (isRefusal(taken)) return yield frame({ last: true, failure: failureOf(taken) });
    yield frame({ header: taken.header });
    for (const { info, content } of taken.kept) {
      yield frame({ data: recordOf(info) });
      if (info.type !== "file") continue;
      if (content !== undefined) {
        if (content.length > 0) yield frame({ data: asBuffer(content) });
        continue;
      }
      try {
        yield* this.#chunks(zone, info);
      } catch (error) {
        return yield frame({ last: true, failure: failureOf(refuse("ZONE_UNAVAILABLE", messageOf(error))) });
      }
    }
    yield frame({ last: true, digest: asBuffer(taken.digest) });
  }

  async #take(zone: string): Promise<{ header: BackupHeader; kept: Kept[]; digest: Uint8Array } | Refusal> {
    const { directory, groups, states, hashing } = this.#needs;
    const rule = directory.zone(zone);
    if (isRefusal(rule)) return rule;
    const leaderBox = rule.members[0] ?? "";
    const refused = await new Promise<Refusal | undefined>((resolve) => {
      if (!groups.has(rule.log))
        return resolve(refuse("NO_LEADER", `this box has no replica of zone ${zone}`, { leaderBox }));
      groups.readIndex(rule.log, (unfit) => resolve(unfit), 10_000);
    });
    if (refused !== undefined) return refused;
    const reader = states.reader(rule.log);
    const view = groups.view(rule.log);
    if (reader === undefined || view === undefined)
      return refuse("NO_LEADER", `this box has no replica of zone ${zone}`);
    const kept = takeAll(reader);
    if (isRefusal(kept)) return kept;
    const digest = new ZoneDigest(hashing);
    for (const { info } of kept) digest.add(info);
    const { generation, applied: index } = view;
    const header = { zone, generation, index, format, digest: Buffer.alloc(0), newZone: "", rule, members: [] };
    return { header, kept, digest: digest.finish() };
  }

  async *#chunks(zone: string, info: FileInfo): AsyncGenerator<BackupFrame, void, void> {
    const request = { options: undefined, path: info.path, offset: 0, length: undefined, zone };
    for await (const { head, data } of this.#needs.box.download(request, ownCaller, new AbortController().signal)) {
      const failed = head === undefined ? undefined : refusalIn(head);
      const read = head?.result?.$case === "read" ? head.result.value.info : undefined;
      if (failed !== undefined) throw new Error(failed.message);
      if (read !== undefined && !equalBytes(read.etag, info.etag)) {
        throw new Error(`${info.path} changed while the backup ran; take it again`);
      }
      if (data.length > 0) yield frame({ data });
    }
  }

  /** Creates the zone of the header's newZone with its rule and members, fills it, and proves the digest. */
  async restore(frames: AsyncIterable<BackupFrame>): Promise<AdminReply> {
    const { hashing } = this.#needs;
    let header: BackupHeader | undefined;
    let wanted: Uint8Array | undefined;
    let parser: BackupParser | undefined;
    for await (const one of frames) {
      if (one.failure !== undefined)
        return refusedReply(refuse("INVALID", `the backup ends with: ${one.failure.message}`));
      if (one.header !== undefined) {
        header = one.header;
        const refused = await this.#prepare(header);
        if (refused !== undefined) return refusedReply(refused);
        parser = new BackupParser(header.newZone, this.#needs);
      }
      const refused = parser === undefined ? missingHeader() : await parser.add(one.data);
      if (refused !== undefined) return refusedReply(refused);
      if (one.last) wanted = one.digest;
    }
    if (header === undefined || wanted === undefined) return refusedReply(refuse("INVALID", "the backup is cut off"));
    const digest = new ZoneDigest(hashing);
    for await (const info of walkZone(this.#lister(header.newZone))) {
      if (isRefusal(info)) return refusedReply(info);
      digest.add(info);
    }
    const found = digest.finish();
    if (equalBytes(found, wanted)) return doneReply({ detail: hexOf(found) });
    return refusedReply(
      refuse("CORRUPT", `zone ${header.newZone} has digest ${hexOf(found)}, its backup ${hexOf(wanted)}`),
    );
  }

  async #prepare(header: BackupHeader): Promise<Refusal | undefined> {
    const { directory, ask } = this.#needs;
    const { newZone, rule, members } = header;
    if (header.format !== format)
      return refuse("VERSION", `the backup has format ${header.format}, this box knows ${format}`);
    if (newZone === "" || rule === undefined)
      return refuse("INVALID", "a restore names newZone and its rule in the header");
    if (!isRefusal(directory.zone(newZone)))
      return refuse("ALREADY_EXISTS", `zone ${newZone} exists; restore under a new name`);
    const ensured = await callAt(
      ask,
      { zone: systemZone, method: "ensureZone" },
      EnsureZoneRequest.encode({ zone: newZone, members, timing: "", group: "", rule: undefined }).finish(),
    );
    if (ensured.failure !== undefined) return refuse("ZONE_UNAVAILABLE", ensured.failure.message);
    const map = await ask({ $case: "hello", value: {} });
    const known = map.result?.$case === "hello" ? map.result.value.map : undefined;
    const rules = (known?.rules ?? []).filter((one) => one.pattern !== "" && one.zone !== systemZone);
    const next = [...rules, { ...rule, zone: newZone, log: ensured.log, generation: 1, state: "active" }];
    const installed = await callAt(
      ask,
      { zone: systemZone, method: "installRules" },
      InstallRulesRequest.encode({ expectedEpoch: known?.epoch ?? 0, rules: next }).finish(),
    );
    if (installed.failure !== undefined) return refuse("PRECONDITION_FAILED", installed.failure.message);
    for (let i = 0; i < mapLooksMax && isRefusal(directory.zone(newZone)); i++)
      await delay(this.#needs.clock, mapLookMs);
    const unseen = directory.zone(newZone);
    return isRefusal(unseen) ? unseen : undefined;
  }

  #lister(zone: string): ListPage {
    return async (path, page) => {
      const value = { path, prefix: "", delimiter: "", limit: 0, page, recursive: false };
      const response = await this.#needs.ask({ $case: "list", value }, { zone, options: { readPreference: "leader" } });
      const refused = refusalIn(response);
      if (refused !== undefined) return refused;
      return response.result?.$case === "listing"
        ? response.result.value
        : refuse("INTERNAL", "a listing was expected");
    };
  }
}

/** Everything in the zone as of now, in the order of walkZone. */
function takeAll(reader: ZoneReader): Kept[] | Refusal {
  const kept: Kept[] = [];
  let inlineBytes = 0;
  const open = ["/"];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const directories: string[] = [];
    let page = "";
    do {
      const listing = reader.list(path, { page });
      if (isRefusal(listing)) return listing;
      for (const entry of listing.entries) {
        const info = { ...entry, path: path === "/" ? `/${entry.name}` : `${path}/${entry.name}` };
        if (entry.type === "directory") directories.push(info.path);
        const read = entry.type === "file" ? reader.read(info.path) : undefined;
        if (isRefusal(read)) return read;
        const content = read === undefined || read.chunks.length > 0 ? undefined : read.content;
        inlineBytes += content?.length ?? 0;
        if (kept.length >= entriesMax || inlineBytes > inlineBytesMax) return tooLarge();
        kept.push({ info, content });
      }
      page = listing.nextPage;
    } while (page !== "");
    open.push(...directories.reverse());
  }
  return kept;
}

function tooLarge(): Refusal {
  return refuse("TOO_LARGE", `a backup takes at most ${entriesMax} entries and ${inlineBytesMax} bytes of small files`);
}
function missingHeader(): Refusal {
  return refuse("INVALID", "the first frame of a backup has its header");
}

function recordOf(info: FileInfo): Buffer {
  const bytes = FileInfoCodec.encode({ ...info, chunks: [] }).finish();
  const record = Buffer.allocUnsafe(4 + bytes.length);
  record.writeUInt32BE(bytes.length);
  record.set(bytes, 4);
  return record;
}

function frame(part: Partial<BackupFrame>): BackupFrame {
  const none = Buffer.alloc(0);
  return { header: undefined, data: none, last: false, digest: none, failure: undefined, ...part };
}
