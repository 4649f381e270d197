import type { Condition } from "../api/conditions.ts";
import type { MemberRole } from "./desired.ts";

/** The process or StatefulSet of a box. */
export interface ObservedWorkload {
  /** It was asked to run (it may be between restarts). */
  exists: boolean;
  running: boolean;
  /** Where others reach it. */
  peerEndpoint: string;
  clientEndpoint: string;
  /** Where the operator reaches it, when that is not where others do. */
  adminEndpoint?: string;
  /** It was asked not to run and is not to be missed. */
  stopped?: boolean;
  /** Its pod, on Kubernetes. */
  pod?: ObservedPod;
}

export interface ObservedPod {
  uid: string;
  /** It is not what is asked for now, and only another pod can be. */
  outdated: boolean;
  /** Its node is being taken out of service. */
  leaving: boolean;
}

/** The one record in the system zone that says whose turn it is to be away. */
export interface ObservedDisruption {
  box: string;
  holder: string;
}

/** What a box says of itself. */
export interface ObservedBox {
  /** Hex; empty for a witness, whose records carry incarnations of their own. */
  incarnation: string;
  /** starting | empty | ready | draining | full */
  state: string;
}

/** A box as the system zone knows it. */
export interface RegisteredBox {
  /** Hex. */
  incarnation: string;
  region: string;
  peerEndpoint: string;
  clientEndpoint: string;
}

export interface ObservedMember {
  role: MemberRole;
  /** Hex; of a witness: of its record in this log. */
  incarnation: string;
  /** It answers the leader. */
  active: boolean;
  caughtUp: boolean;
}

/** A zone's log as its leader describes it; as another member does while there is no leader. */
export interface ObservedLog {
  log: number;
  generation: number;
  /** Box name; empty while unknown. The facts below are the leader's own only when it is known. */
  leader: string;
  configIndex: number;
  joint: boolean;
  members: ReadonlyMap<string, ObservedMember>;
  /** PAIR | SOLO | empty */
  witnessMode: string;
  /** Mode in force in the log's state machine; empty in the system zone. */
  mode: string;
  /** Hash of the declaration that the leader took last, empty when none. */
  acceptedHash: string;
  acceptedRevision: number;
  /** Why the declaration is not reached, as the leader says, one clause; empty when it is. */
  acceptedWaits: string;
  /** Name of the log for good; absent while unknown. */
  uid?: string;
  /** The last recovery from a lost quorum, absent when there was none. */
  recovery?: ObservedRecovery | undefined;
}

/** How a log went on without its quorum. */
export interface ObservedRecovery {
  epoch: number;
  fromBox: string;
  /** Last entry that fromBox had: later ones are lost, if there were any. */
  lastIndex: number;
}

/** A rule of the installed map, the part that is the operator's to say. */
export interface ObservedRule {
  zone: string;
  pattern: string;
  log: number;
  mode: string;
  writers: string;
  locks: string;
  readPreference: string;
  writeConcern: string;
  staleReadMaxAgeMs: number;
  regions: readonly string[];
  copiesDeclared: number;
  state: string;
  /** As the map has them, passed on unchanged: the log says them, not the operator. */
  generation: number;
  members: readonly string[];
}

/** What the boxes answered to a rule. */
export interface RefusedRule {
  /** The rule (ruleText); empty: that the zone has none. Another rule of the zone is not refused. */
  text: string;
  /** Why, one sentence. */
  message: string;
  /** It may be asked for again. */
  due: boolean;
}

/** What only a person can remove from the way. */
export interface Obstacle {
  reason: string;
  message: string;
}

export interface Observed {
  workloads: ReadonlyMap<string, ObservedWorkload>;
  /** Boxes that answered in this round. */
  boxes: ReadonlyMap<string, ObservedBox>;
  /** Uid of the federation that was bootstrapped from here, as kept outside the boxes; empty when never. */
  knownFederation: string;
  /** Some box has the system zone's log. */
  bootstrapped: boolean;
  /** The system zone has a leader that answers: without it nothing can be registered, created or installed. */
  systemServes: boolean;
  epoch: number;
  /** A rule change is on its way. */
  rulesPending: boolean;
  rules: readonly ObservedRule[];
  /** By zone; absent: none was. */
  refusedRules?: ReadonlyMap<string, RefusedRule> | undefined;
  registered: ReadonlyMap<string, RegisteredBox>;
  /** By zone name; the system zone is "system". */
  logs: ReadonlyMap<string, ObservedLog>;
  /** Absent: nobody holds it. */
  disruption?: ObservedDisruption | undefined;
  /** What stands in the backend's way, by "Kind/name": only a person can help. */
  obstacles?: ReadonlyMap<string, Obstacle>;
  /** What the backend waits for, one clause, by "Kind/name". */
  waits?: ReadonlyMap<string, string>;
  /** Conditions as they were last reported, by "Kind/name". */
  conditions: ReadonlyMap<string, readonly Condition[]>;
}
