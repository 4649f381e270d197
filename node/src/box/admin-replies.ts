import { AdminReply, type DeclaredMember } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, LogMember } from "@nexus-federation/proto/records.ts";
import { asBuffer, equalBytes, hexOf } from "../base/bytes.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { type Ask, refusalIn } from "./ask.ts";

/** Time for an admin call at another box, ms. */
const callMs = 60_000;

/** Executes a call at the box that leads the zone's log. */
export async function callAt(ask: Ask, at: { zone: string; method: string }, body: Uint8Array): Promise<AdminReply> {
  const op = { $case: "admin" as const, value: { method: at.method, body: asBuffer(body) } };
  const response = await ask(op, { zone: at.zone, options: { timeoutMs: callMs } });
  const refused = refusalIn(response);
  if (refused !== undefined) return refusedReply(refused);
  if (response.result?.$case === "admin") return AdminReply.decode(response.result.value.body);
  return refusedReply(refuse("INTERNAL", "an admin call was answered with something else"));
}

export function doneReply(more: Partial<AdminReply> = {}): AdminReply {
  return { failure: undefined, log: 0, epoch: 0, configIndex: 0, detail: "", ...more };
}
export function refusedReply(refused: Refusal): AdminReply {
  return doneReply({ failure: failureOf(refused) });
}
export function replyOf(refused: Refusal | undefined, more: Partial<AdminReply> = {}): AdminReply {
  return refused === undefined ? doneReply(more) : refusedReply(refused);
}

const roles: readonly string[] = ["voter", "learner", "witness"];

/**
 * The members of a log that begins. A witness is named without an incarnation: its record in the group is drawn by the
 * Join of the box that bootstraps.
 */
export function firstMembers(declared: readonly DeclaredMember[], boxes: readonly BoxRecord[]): LogMember[] | Refusal {
  const members: LogMember[] = [];
  for (const one of declared) {
    const { box, role } = one;
    const record = boxFor(one, boxes);
    if (isRefusal(record)) return record;
    if (members.some((member) => member.box === box)) return refuse("INVALID", `members: box ${box} is named twice`);
    const incarnation = role === "witness" ? Buffer.alloc(0) : record.incarnation;
    members.push({ replica: members.length + 1, box, incarnation, role });
  }
  if (!members.some((member) => member.role === "voter"))
    return refuse("INVALID", "members: a log has at least one voter");
  return members;
}

/** The registered box behind a declared member, fit for its role. */
export function boxFor(declared: DeclaredMember, boxes: readonly BoxRecord[]): BoxRecord | Refusal {
  const { box, role, incarnation } = declared;
  if (!roles.includes(role)) return refuse("INVALID", `members: role is voter, learner or witness; ${role} came`);
  const record = boxes.find((one) => one.name === box);
  if (record === undefined) return refuse("INVALID", `members: box ${box} is not registered`);
  const isWitness = record.role === "Witness";
  if (isWitness === (role === "witness")) {
    if (isWitness || incarnation === undefined || equalBytes(incarnation, record.incarnation)) return record;
    const text = `members: box ${box} is known here with incarnation ${hexOf(record.incarnation)}, ${hexOf(incarnation)} is meant; call again`;
    return refuse("PRECONDITION_FAILED", text);
  }
  return refuse("INVALID", `members: box ${box} has role ${record.role}, it cannot be a ${role}`);
}
