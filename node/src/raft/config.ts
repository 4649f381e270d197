import type { Random } from "../base/clock.ts";
import { isLocalTarget } from "./messages.ts";
import type { Storage } from "./storage.ts";
import { type Logger, NO_LIMIT, NONE } from "./types.ts";

/** How linearizable reads are confirmed: by a heartbeat round, or by trusting that clocks advance alike. */
export type ReadOnlyOption = "ReadOnlySafe" | "ReadOnlyLeaseBased";

/** Ticks since the host started. */
export interface TickCount {
  value: number;
}

export interface RaftConfig {
  /** Replica id of this node; not NONE and not one of the local threads. */
  readonly id: number;
  /** Ticks without the leader after which a follower campaigns; the real timeout is drawn from once to twice this. */
  readonly electionTick: number;
  /** Ticks between heartbeats; below `electionTick`. */
  readonly heartbeatTick: number;
  readonly storage: Storage;
  /** Draws the election timeouts. */
  readonly random: Pick<Random, "unit">;
  /** Last applied index, when restarting; 0 means the storage's first index less one. */
  readonly applied?: number;
  /** Storage work travels as messages to the local threads; their responses replace `advance`. */
  readonly asyncStorageWrites?: boolean;
  /** Limit on the entries of one append message, in bytes; at least one entry is always sent. Default no limit. */
  readonly messageBytesMax?: number;
  /** Limit on entries handed out and not yet applied, in bytes. Default: `messageBytesMax`. */
  readonly applyingBytesMax?: number;
  /** Limit on the leader's uncommitted tail, in bytes of data; beyond it proposals are dropped. Default no limit. */
  readonly uncommittedBytesMax?: number;
  /** Limit on append messages in flight to one follower. */
  readonly inflightCountMax: number;
  /** Limit on their bytes of data, at least `messageBytesMax`. Default no limit. */
  readonly inflightBytesMax?: number;
  /** A leader that does not hear from a quorum for `electionTick` steps down. */
  readonly checkQuorum?: boolean;
  /** Ask whether an election could be won before starting one. */
  readonly preVote?: boolean;
  /** Default "ReadOnlySafe"; "ReadOnlyLeaseBased" needs `checkQuorum`. */
  readonly readOnlyOption?: ReadOnlyOption;
  /** Limit on reads that wait for confirmation on the leader; beyond it reads are dropped. Default 10,000. */
  readonly readsWaitingMax?: number;
  /**
   * A commit index that moved alone asks for neither a durable write nor an answer: it is written with the next entries,
   * and followers that hold everything are told by MsgCommit, which a lost message leaves to the next heartbeat.
   */
  readonly quietCommits?: boolean;
  /** Ticks as the host counts them for all its replicas (`RawNode.isDue`). Default: each `tick` counts for itself. */
  readonly ticks?: TickCount;
  /** Followers drop proposals instead of passing them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** Propose configuration changes unchecked: only for callers that order and check them themselves. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is removed or demoted steps down. */
  readonly stepDownOnRemoval?: boolean;
  /**
   * Groups with a witness alone, all in ticks. Silence of the peer after which a leader with something to commit turns to
   * the witness; below `electionTick`. Default four fifths of it.
   */
  readonly soloAfterTicks?: number;
  /** The same for a peer that the transport knows to be down: time to connect again. Default a sixth of it. */
  readonly soloAfterDownTicks?: number;
  /** How long a candidate waits for the full members before it asks the witness: about a round trip. Default 1. */
  readonly witnessAskTicks?: number;
  /** Least time in SOLO, which doubles up to the maximum while modes change often. Defaults 2 and 64 × `electionTick`. */
  readonly soloDwellTicks?: number;
  readonly soloDwellTicksMax?: number;
  /** How many entries the peer may lack when SOLO ends. Default 256. */
  readonly pairLagMax?: number;
  readonly logger?: Logger;
}

export type Settings = Required<RaftConfig>;

/** Fills in the defaults; returns a sentence when the configuration cannot work. */
export function settingsOf(config: RaftConfig): Settings | string {
  const messageBytesMax = config.messageBytesMax ?? NO_LIMIT;
  const soloAfterTicks = config.soloAfterTicks || Math.max(1, Math.floor(config.electionTick * 0.8));
  const settings: Settings = {
    applied: 0,
    asyncStorageWrites: false,
    checkQuorum: false,
    preVote: false,
    quietCommits: false,
    ticks: { value: 0 },
    disableProposalForwarding: false,
    disableConfChangeValidation: false,
    stepDownOnRemoval: false,
    ...config,
    logger: config.logger ?? {},
    readOnlyOption: config.readOnlyOption ?? "ReadOnlySafe",
    messageBytesMax,
    applyingBytesMax: config.applyingBytesMax || Math.max(1, messageBytesMax),
    readsWaitingMax: config.readsWaitingMax ?? 10_000,
    soloAfterTicks,
    soloAfterDownTicks: config.soloAfterDownTicks ?? Math.max(1, Math.floor(soloAfterTicks / 6)),
    witnessAskTicks: config.witnessAskTicks ?? 1,
    soloDwellTicks: config.soloDwellTicks ?? 2 * config.electionTick,
    soloDwellTicksMax: config.soloDwellTicksMax ?? 64 * config.electionTick,
    pairLagMax: config.pairLagMax ?? 256,
    uncommittedBytesMax: config.uncommittedBytesMax || NO_LIMIT,
    inflightBytesMax: config.inflightBytesMax || NO_LIMIT,
  };
  if (settings.id === NONE) return "cannot use none as id";
  if (isLocalTarget(settings.id)) return "cannot use local target as id";
  if (settings.heartbeatTick <= 0) return "heartbeat tick must be greater than 0";
  if (settings.electionTick <= settings.heartbeatTick) return "election tick must be greater than heartbeat tick";
  if (settings.inflightCountMax <= 0) return "max inflight messages must be greater than 0";
  if (settings.inflightBytesMax < messageBytesMax) return "max inflight bytes must be >= max message size";
  if (settings.soloAfterTicks >= settings.electionTick) return "solo-after ticks must be below the election tick";
  if (settings.readOnlyOption === "ReadOnlyLeaseBased" && !settings.checkQuorum) {
    return "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased";
  }
  return settings;
}
