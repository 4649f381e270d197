import type { LogMember } from "@nexus-federation/proto/records.ts";
import { equalBytes } from "../base/bytes.ts";
import type { TickCount } from "../raft/config.ts";
import { isLocalTarget, type Message } from "../raft/messages.ts";
import type { GroupView } from "./api.ts";
import { isWitness, memberOf } from "./config.ts";
import type { Liveness } from "./liveness.ts";
import type { Outbox } from "./outbox.ts";
import type { PendingTotal } from "./pending.ts";
import type { HostNeeds } from "./ports.ts";
import type { Records } from "./records.ts";
import type { Replica } from "./replica.ts";
import type { HostSettings } from "./settings.ts";
import type { Turns } from "./turns.ts";

/** This box and its disk's incarnation. */
export interface SelfIdentity {
  box: string;
  incarnation: Uint8Array;
}

/** What the parts of the host share. Built by GroupHost, which alone adds and removes replicas. */
export interface HostCore {
  readonly self: SelfIdentity;
  readonly needs: HostNeeds;
  readonly settings: HostSettings;
  readonly replicas: Map<number, Replica>;
  /** Those that a tick looks at: all that are awake, and quiet ones for which somebody waits. */
  readonly attended: Set<Replica>;
  readonly turns: Turns;
  readonly outbox: Outbox;
  readonly liveness: Liveness;
  readonly records: Records;
  readonly pendingTotal: PendingTotal;
  /** Ticks of this host, which the cores of all replicas count from. */
  readonly ticks: TickCount;
  /** Incarnation at the other end of each stream that is up, by box. */
  readonly links: Map<string, Uint8Array>;
  view(replica: Replica): GroupView;
  /** Sends to a replica of a log, by whatever way its kind needs. */
  route(replica: Replica, message: Message): void;
}

/**
 * Box of the full member or stranger behind a replica id, while the process there is the incarnation that is meant. A
 * box that came back with an empty disk must not take a message for what it was.
 */
export function boxOf(core: HostCore, replica: Replica, to: number): string | undefined {
  if (isLocalTarget(to) || isWitness(replica.config, to)) return undefined;
  const meant = memberOf(replica.config, to) ?? replica.strangers.get(to);
  const there = meant === undefined ? undefined : core.links.get(meant.box);
  if (meant === undefined || there === undefined || !equalBytes(there, meant.incarnation)) return undefined;
  return meant.box;
}

export function isSelf(self: SelfIdentity, member: Pick<LogMember, "box" | "incarnation">): boolean {
  return member.box === self.box && equalBytes(member.incarnation, self.incarnation);
}

/** Boxes of the other full members. */
export function peerBoxes(core: HostCore, replica: Replica): string[] {
  const boxes = new Set<string>();
  for (const member of replica.config.members) {
    if (member.role !== "witness" && member.box !== core.self.box) boxes.add(member.box);
  }
  return [...boxes];
}

/** The transport lost its stream to a box, or has one again. */
export function setBoxDown(core: HostCore, box: string, down: boolean): void {
  for (const { config, node } of core.replicas.values()) {
    for (const member of config.members) {
      if (member.box === box && member.role !== "witness") node.setPeerDown(member.replica, down);
    }
  }
}
