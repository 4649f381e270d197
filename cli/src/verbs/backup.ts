// A zone as one file: a consistent snapshot with its chunks and a digest; restored as a new zone.
import { once } from "node:events";
import { createReadStream, existsSync, statSync } from "node:fs";
import type { Writable } from "node:stream";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { revisionText } from "@nexus-federation/node/base/json.ts";
import { NexusAdmin } from "@nexus-federation/node/client/admin.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import { BackupFrame, type DeclaredMember } from "@nexus-federation/proto/admin.ts";
import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import type { Command } from "commander";
import { UsageError } from "../durations.ts";
import { existsText, PartialFile } from "../partial-file.ts";
import { Progress } from "../progress.ts";
import { type Tools, verb } from "../tools.ts";
import { allStatuses, holderOf } from "./cluster.ts";

/** A frame on disk: its length (uint32, little endian), then the proto bytes. */
const lengthBytes = 4;
const frameBytesMax = 8 * 1024 * 1024;
const magic = Buffer.from("NEXUSBK1");

export function backupVerbs(program: Command): void {
  program
    .command("backup <zone> <file>")
    .description("write a consistent copy of a zone, content included, to a local file (- is stdout)")
    .action(verb(backup));
  program
    .command("restore <zone> <file>")
    .description(
      "make a new zone of that name from a backup (- is stdin); it is shown when it is complete and its digest is equal",
    )
    .option("--path <pattern>", "its path pattern; default: that of the backup when it is free, else /<zone>/**")
    .option("--box <box...>", "boxes that hold it; default: those that held it, or the box that answers")
    .action(verb(restore));
}

/** Where the frames go: a file that appears when it is whole, or stdout. */
async function targetOf(file: string): Promise<{ out: Writable; done(): Promise<void>; drop(): void }> {
  if (file !== "-") {
    const partial = await PartialFile.open(file, { mode: 0o600, flush: true });
    return { out: partial.out, done: () => partial.moveNew(), drop: () => partial.drop() };
  }
  if (process.stdout.isTTY) throw new UsageError("backup: - is stdout, which is a terminal; give a file or a pipe");
  return { out: process.stdout, done: async () => {}, drop: () => {} };
}

async function backup(tools: Tools, zone: string, file: string): Promise<void> {
  if (file === "-" && tools.json) throw new UsageError("backup: stdout holds the backup; --json has no place there");
  if (file !== "-" && existsSync(file)) throw new UsageError(existsText(file));
  const admin = await adminOfHolder(tools, zone);
  const target = await targetOf(file).catch((error) => {
    admin.close();
    throw error;
  });
  const { out } = target;
  const progress = new Progress(zone, undefined);
  let bytes = 0;
  let digest = "";
  let revision = "";
  let complete = false;
  try {
    await write(out, magic);
    for await (const frame of admin.backup({ zone })) {
      const encoded = BackupFrame.encode(frame).finish();
      const length = Buffer.alloc(lengthBytes);
      length.writeUInt32LE(encoded.length);
      await write(out, Buffer.concat([length, encoded]));
      bytes += frame.data.length;
      progress.at(bytes);
      if (frame.header) revision = revisionText(frame.header.generation, frame.header.index);
      if (frame.last) {
        digest = Buffer.from(frame.digest).toString("hex");
        complete = true;
      }
    }
    if (!complete) throw new NexusError("ZONE_UNAVAILABLE", "the backup ended before its last frame; try again");
    await target.done();
  } catch (error) {
    target.drop();
    throw error;
  } finally {
    progress.end();
    admin.close();
  }
  const text = `${file === "-" ? "stdout" : file}: zone ${zone} at revision ${revision}, ${bytes} bytes, digest ${digest}`;
  if (file === "-") process.stderr.write(`${text}\n`);
  else tools.print(text, { zone, file, revision, bytes, digest });
}

/** Only a box with a replica can write the backup: one is looked for among all boxes that answer. */
async function adminOfHolder(tools: Tools, zone: string): Promise<NexusAdmin> {
  const { replies, endpoints } = await allStatuses(tools);
  const holder = holderOf(replies, zone);
  const endpoint = holder === undefined ? undefined : endpoints.get(holder);
  return endpoint === undefined ? tools.admin() : new NexusAdmin(tools.settings, endpoint);
}

async function restore(
  tools: Tools,
  zone: string,
  file: string,
  flags: { box?: string[]; path?: string },
): Promise<void> {
  if (file !== "-" && !statSync(file, { throwIfNoEntry: false })?.isFile())
    throw new UsageError(`${file}: no such file`);
  const admin = await tools.admin();
  const status = await admin.status();
  const known = new Map(status.boxes.map((box) => [box.name, box.role]));
  const bound = new Set(status.map?.rules.filter((rule) => rule.zone !== zone).map((rule) => rule.pattern));
  let path = "";
  const progress = new Progress(zone, undefined);
  async function* frames(): AsyncIterable<BackupFrame> {
    let bytes = 0;
    for await (const frame of framesOf(file)) {
      if (frame.header) {
        frame.header.newZone = zone;
        frame.header.members = membersOf(frame.header.members, flags.box, { known, answering: status.box });
        const boxes = frame.header.members.filter(({ role }) => role === "voter").map(({ box }) => box);
        if (!frame.header.rule) throw new NexusError("INVALID", `${nameOf(file)}: it does not say which zone it is of`);
        frame.header.rule = ruleOf(frame.header.rule, boxes, { path: flags.path, zone, bound });
        path = frame.header.rule.pattern;
      }
      bytes += frame.data.length;
      progress.at(bytes);
      yield frame;
    }
  }
  try {
    const reply = await admin.restore(frames());
    tools.print(`${zone}: restored at ${path} as log ${reply.log}, digest ${reply.detail}`, {
      zone,
      path,
      log: reply.log,
      digest: reply.detail,
    });
  } catch (error) {
    throw damagedFile(error, file);
  } finally {
    progress.end();
    admin.close();
  }
}

/** Those named, else those the zone had when all of them are there, else the box that answers. */
function membersOf(
  before: DeclaredMember[],
  named: string[] | undefined,
  here: { known: ReadonlyMap<string, string>; answering: string },
): DeclaredMember[] {
  const roleOf = (box: string) => (here.known.get(box) === "Witness" ? "witness" : "voter");
  if (named) return named.map((box) => ({ box, role: roleOf(box) }));
  if (before.length > 0 && before.every(({ box }) => here.known.has(box))) return before;
  return [{ box: here.answering, role: "voter" }];
}

/** The rule that the restored zone gets: the backup's, at a path that is free, over the boxes named. */
function ruleOf(
  rule: ZoneRule,
  boxes: string[],
  at: { path: string | undefined; zone: string; bound: ReadonlySet<string> },
): ZoneRule {
  const pattern = at.path ?? (at.bound.has(rule.pattern) ? `/${at.zone}/**` : rule.pattern);
  const mode = boxes.length === 1 ? "strong" : rule.mode;
  return { ...rule, pattern, mode, members: boxes, copiesDeclared: boxes.length };
}

async function* framesOf(file: string): AsyncIterable<BackupFrame> {
  const input = file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 1024 * 1024 });
  let held: Buffer = Buffer.alloc(0);
  let seenMagic = false;
  for await (const part of input) {
    held = held.length === 0 ? (part as Buffer) : Buffer.concat([held, part as Buffer]);
    if (!seenMagic) {
      if (held.length < magic.length) continue;
      if (!held.subarray(0, magic.length).equals(magic))
        throw new NexusError("INVALID", `${nameOf(file)} is not a Nexus backup`);
      held = held.subarray(magic.length);
      seenMagic = true;
    }
    while (held.length >= lengthBytes) {
      const length = held.readUInt32LE(0);
      if (length > frameBytesMax)
        throw new NexusError("CORRUPT", `${nameOf(file)}: a frame of ${length} bytes; it is damaged`);
      if (held.length < lengthBytes + length) break;
      yield frameOf(held.subarray(lengthBytes, lengthBytes + length), file);
      held = held.subarray(lengthBytes + length);
    }
  }
  if (!seenMagic || held.length > 0)
    throw new NexusError("CORRUPT", `${nameOf(file)}: it ends in the middle of a frame`);
}

function frameOf(bytes: Uint8Array, file: string): BackupFrame {
  try {
    return BackupFrame.decode(bytes);
  } catch (cause) {
    throw new NexusError("CORRUPT", `${nameOf(file)}: a frame cannot be read (${messageOf(cause)})`, { cause });
  }
}

/** For messages about what is read. */
function nameOf(file: string): string {
  return file === "-" ? "stdin" : file;
}

/** What is corrupt is the file: no member of a zone can mend it, which the code's general advice would say. */
function damagedFile(error: unknown, file: string): unknown {
  if (!(error instanceof NexusError) || error.code !== "CORRUPT") return error;
  const named = error.message.includes(nameOf(file)) ? error.message : `${nameOf(file)}: ${error.message}`;
  const text = `${named}; nothing was restored: use another copy of the file, or make a new backup`;
  return new LocalError("CORRUPT", text, { cause: error });
}

async function write(out: Writable, bytes: Uint8Array): Promise<void> {
  if (out.errored) throw out.errored;
  if (!out.write(bytes)) await once(out, "drain");
}
