// Restores. The problem: a restore takes minutes and may stop anywhere; what is half there must never be taken for the
// zone. Why not fill a zone under its rule: clients read and write it from the first second. The sketch: the zone's log
// is made with a mark (LogRecord.restoring) under which only boxes reach it and no rule may bind it; it is filled,
// walked, and bound by its rule, which takes the mark away, only when its digest is that of the backup. What a restore
// leaves behind is marked, so the next one under the same name deletes it and begins anew.
import {
  type AdminReply,
  type BackupFrame,
  type BackupHeader,
  type DeclaredMember,
  DestroyZoneRequest,
  EnsureZoneRequest,
  InstallRulesRequest,
} from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, RuleMap, ZoneRule } from "@nexus-federation/proto/records.ts";
import { equalBytes, hexOf } from "../base/bytes.ts";
import { type Clock, delay } from "../base/clock.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import { rulesProblem } from "../tree/rules.ts";
import { systemZone } from "../tree/system-zone.ts";
import { callAt, doneReply, refusedReply } from "./admin-replies.ts";
import type { BoxApi } from "./api.ts";
import { type Ask, refusalIn } from "./ask.ts";
import { backupFormat } from "./backup.ts";
import { BackupParser } from "./backup-parser.ts";
import type { Directory } from "./directory.ts";
import type { Hashing } from "./ports.ts";
import { zoneCommand } from "./system-client.ts";
import { type ListPage, walkZone, ZoneDigest } from "./zone-walk.ts";

/** How long news of the map are waited for here. */
const mapLookMs = 50;
const mapLooksMax = 100;
/** Rule maps that may overtake the last step before it gives up. */
const installsMax = 5;

export interface RestoreNeeds {
  clock: Clock;
  box: Pick<BoxApi, "upload">;
  ask: Ask;
  directory: Directory;
  hashing: Hashing;
}

/** Fills the zone of the header's newZone with its rule and members, proves the digest, and then shows it. */
export async function restoreZone(needs: RestoreNeeds, frames: AsyncIterable<BackupFrame>): Promise<AdminReply> {
  const restore = new Restore(needs);
  let done: AdminReply;
  try {
    done = await restore.run(frames);
  } catch (error) {
    done = refusedReply(refuse("INVALID", `the backup broke off: ${messageOf(error)}`));
  }
  if (done.failure !== undefined) await restore.undo();
  return done;
}

class Restore {
  readonly #needs: RestoreNeeds;
  /** Name of the zone that this restore has begun. */
  #begun = "";

  constructor(needs: RestoreNeeds) {
    this.#needs = needs;
  }

  async run(frames: AsyncIterable<BackupFrame>): Promise<AdminReply> {
    let target: { zone: string; rule: ZoneRule } | undefined;
    let wanted: Uint8Array | undefined;
    let parser: BackupParser | undefined;
    for await (const one of frames) {
      if (one.failure !== undefined)
        return refusedReply(refuse("INVALID", `the backup ends with: ${one.failure.message}`));
      if (one.header !== undefined) {
        const begun = target === undefined ? await this.#begin(one.header) : repeatedHeader();
        if (isRefusal(begun)) return refusedReply(begun);
        target = { zone: one.header.newZone, rule: begun };
        parser = new BackupParser(one.header.newZone, this.#needs);
      }
      const refused = parser === undefined ? missingHeader() : await parser.add(one.data);
      if (refused !== undefined) return refusedReply(refused);
      if (one.last) wanted = one.digest;
    }
    if (target === undefined || wanted === undefined || parser?.isAtEnd === false)
      return refusedReply(refuse("CORRUPT", "the backup is cut off"));
    const found = await this.#digestOf(target.zone);
    if (isRefusal(found)) return refusedReply(found);
    if (!equalBytes(found, wanted)) {
      const text = `zone ${target.zone} has digest ${hexOf(found)}, its backup ${hexOf(wanted)}`;
      return refusedReply(refuse("CORRUPT", text));
    }
    const refused = await this.#show(target.rule);
    return refused === undefined ? doneReply({ log: target.rule.log, detail: hexOf(found) }) : refusedReply(refused);
  }

  /** Makes the marked zone; its rule as it will be installed. */
  async #begin(header: BackupHeader): Promise<ZoneRule | Refusal> {
    const { directory } = this.#needs;
    const { newZone, rule } = header;
    if (header.format !== backupFormat)
      return refuse("VERSION", `the backup has format ${header.format}, this box knows ${backupFormat}`);
    if (newZone === "" || rule === undefined || rule.pattern === "")
      return refuse("INVALID", "a restore names newZone and its rule with a pattern in the header");
    const members = membersFor(header, rule, directory.boxes);
    if (isRefusal(members)) return members;
    const next = { ...rule, zone: newZone, generation: 1, state: "active" };
    const problem = rulesProblem([...boundRules(directory.map).filter((one) => one.zone !== newZone), next]);
    if (problem !== undefined) return problem;
    const request = { zone: newZone, members, timing: "", group: "", rule: next };
    const staged = await this.#atSystem("stageZone", EnsureZoneRequest.encode(request).finish());
    if (isRefusal(staged)) return staged;
    this.#begun = newZone;
    const seen = await this.#see(newZone, staged.log);
    if (seen !== undefined) return seen;
    const own = { pattern: rule.pattern, exclusions: [], epoch: directory.epoch };
    const owned = await zoneCommand(this.#needs.ask, newZone, { op: { $case: "own", value: own } });
    return refusalIn(owned) ?? { ...next, log: staged.log };
  }

  /** Waits until this box knows that zone by that log. */
  async #see(zone: string, log: number): Promise<Refusal | undefined> {
    const { directory, clock } = this.#needs;
    const known = () => {
      const rule = directory.zone(zone);
      return !isRefusal(rule) && rule.log === log;
    };
    for (let i = 0; i < mapLooksMax && !known(); i++) await delay(clock, mapLookMs);
    return known() ? undefined : refuse("NO_ZONE", `zone ${zone} is made, but this box does not hear of it; try again`);
  }

  async #digestOf(zone: string): Promise<Uint8Array | Refusal> {
    const digest = new ZoneDigest(this.#needs.hashing);
    for await (const info of walkZone(this.#lister(zone))) {
      if (isRefusal(info)) return info;
      digest.add(info);
    }
    return digest.finish();
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

  /** The rule binds the zone: from the activation of that map on, clients see it. */
  async #show(rule: ZoneRule): Promise<Refusal | undefined> {
    let last: Refusal | undefined;
    for (let i = 0; i < installsMax; i++) {
      const map = await this.#map();
      const rules = [...boundRules(map).filter((one) => one.zone !== rule.zone), rule];
      const request = InstallRulesRequest.encode({ expectedEpoch: map.epoch, rules }).finish();
      const installed = await this.#atSystem("installRestored", request);
      if (!isRefusal(installed)) return undefined;
      last = installed;
      if (installed.code !== "STALE_EPOCH") break;
      await delay(this.#needs.clock, mapLookMs);
    }
    return last;
  }

  async #map(): Promise<RuleMap> {
    const answered = await this.#needs.ask({ $case: "hello", value: {} });
    const map = answered.result?.$case === "hello" ? answered.result.value.map : undefined;
    return map ?? this.#needs.directory.map;
  }

  /** Deletes what was begun and not shown. What stays, because nobody answers, is marked. */
  async undo(): Promise<void> {
    if (this.#begun === "") return;
    const zone = this.#begun;
    await this.#atSystem("destroyZone", DestroyZoneRequest.encode({ zone, confirm: zone, abandoned: [] }).finish());
  }

  async #atSystem(method: string, body: Uint8Array): Promise<AdminReply | Refusal> {
    const reply = await callAt(this.#needs.ask, { zone: systemZone, method }, body);
    if (reply.failure === undefined) return reply;
    return { ...reply.failure, code: reply.failure.code as Refusal["code"] };
  }
}

/** The members that are asked for, in the roles that their boxes have; two voters of strong_ha get their witness. */
function membersFor(
  { members }: BackupHeader,
  { mode }: ZoneRule,
  boxes: readonly BoxRecord[],
): DeclaredMember[] | Refusal {
  const witnesses = boxes.filter((box) => box.role === "Witness").map((box) => box.name);
  const roleOf = (member: DeclaredMember) => (witnesses.includes(member.box) ? "witness" : member.role);
  const declared = members.map((member) => ({ ...member, role: roleOf(member) }));
  const voters = declared.filter((member) => member.role === "voter").length;
  if (mode !== "strong_ha" || voters !== 2 || declared.some((member) => member.role === "witness")) return declared;
  const [witness] = witnesses;
  if (witness !== undefined) return [...declared, { box: witness, role: "witness" }];
  const text = "members: two voters of strong_ha need a witness, and no box of role Witness is registered";
  return refuse("INVALID", `${text}; name one box, or three`);
}

function boundRules(map: RuleMap): ZoneRule[] {
  return map.rules.filter((one) => one.pattern !== "" && one.zone !== systemZone);
}
function missingHeader(): Refusal {
  return refuse("INVALID", "the first frame of a backup has its header");
}
function repeatedHeader(): Refusal {
  return refuse("INVALID", "a backup has one header, in its first frame");
}
