import { ConfigChangeData, GroupConfig, MembershipTarget } from "@nexus-federation/proto/raft.ts";
import { messageOf } from "../base/errors.ts";
import { decodeConfChange } from "../raft/confchange/codec.ts";
import type { EntryType } from "../raft/types.ts";
import { EntryKind } from "./entry.ts";
import { WireError } from "./wire-bytes.ts";

// Configurations and their changes as bytes of a peer or a disk. They decide who may vote, and every member applies them:
// one that cannot be read would stop the log everywhere, at every start. So it is refused where it comes in.

/** Members that a log may be declared to have. During a change there are those of both halves. */
export const declaredMax = 512;
const membersMax = 2 * declaredMax;
/** Incarnations banned from one log: each recovery from a lost quorum adds those that it gave up. */
export const bannedMax = 1_024;
const bytesMax = 1 << 20;
const incarnationBytes = 16;

/** Throws WireError on bytes that are no configuration which the core can be in. */
export function readConfig(bytes: Uint8Array): GroupConfig {
  const config = decoded(GroupConfig, bytes, "configuration");
  const problem = problemOf(config);
  if (problem !== undefined) throw new WireError(`a configuration that cannot be: ${problem}`);
  return config;
}

/** What a configuration change says of the members it adds. Throws WireError. */
export function readChange(context: Uint8Array): ConfigChangeData {
  const data = decoded(ConfigChangeData, context, "configuration change");
  if (data.members.length > membersMax) throw new WireError(`a change adds ${data.members.length} members`);
  const strange = data.members.find((member) => member.incarnation.length !== incarnationBytes);
  if (strange !== undefined) throw new WireError(`a change adds ${strange.box} without an incarnation`);
  return data;
}

/** Throws WireError on an entry that no member could apply. */
export function checkEntry(type: EntryType, data: Uint8Array): void {
  if (type === "EntryConfChange" || type === "EntryConfChangeV2") {
    const change = decodeConfChange(data);
    if (change === undefined) throw new WireError("a configuration change that this version does not know");
    readChange(change.context);
  } else if (data[0] === EntryKind.target) {
    const { members } = decoded(MembershipTarget, data.subarray(1), "declaration of members");
    if (members.length > declaredMax) throw new WireError(`a declaration names ${members.length} members`);
  }
}

function decoded<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array, what: string): T {
  if (bytes.length > bytesMax) throw new WireError(`a ${what} of ${bytes.length} bytes is too long`);
  try {
    return codec.decode(bytes);
  } catch (error) {
    throw new WireError(`a ${what} cannot be read: ${messageOf(error)}`);
  }
}

function problemOf(config: GroupConfig): string | undefined {
  const { voters, votersOutgoing, learners, learnersNext, witnesses, members, banned } = config;
  if (members.length > membersMax) return `${members.length} members`;
  if (banned.length > bannedMax) return `${banned.length} banned incarnations`;
  for (const ids of [voters, votersOutgoing, learners, learnersNext, witnesses, members.map((one) => one.replica)]) {
    if (ids.length > membersMax) return `${ids.length} replicas in one set`;
    if (ids.includes(0) || new Set(ids).size !== ids.length) return `the replica ids ${ids.slice(0, 8).join(", ")}`;
  }
  const voting = new Set([...voters, ...votersOutgoing]);
  const known = new Set(members.map((member) => member.replica));
  const stranger = [...voting, ...learners, ...learnersNext].find((id) => !known.has(id));
  if (stranger !== undefined) return `nobody stands behind replica ${stranger}`;
  if (voters.length === 0 && members.length > 0) return "no voter";
  if (learners.some((id) => voting.has(id) || learnersNext.includes(id))) return "a learner that votes";
  if (learnersNext.some((id) => !votersOutgoing.includes(id) || voters.includes(id))) return "a voter to be a learner";
  if (witnesses.some((id) => !voting.has(id))) return "a witness that does not vote";
  if (config.autoLeave && votersOutgoing.length === 0) return "a change that is left by itself and was not entered";
  const bytes = [...members.map((member) => member.incarnation), ...banned];
  return bytes.some((one) => one.length !== incarnationBytes) ? "an incarnation that has not 16 bytes" : undefined;
}
