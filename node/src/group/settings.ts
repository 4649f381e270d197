import { type Refusal, refuse } from "../base/errors.ts";
import { featureLevel } from "../base/version.ts";

/** Limits of the host. Each overflow has a named answer, said beside it. */
export interface HostSettings {
  /** Period of the core's clock, ms. */
  tickMs: number;
  /** Proposals taken and not yet answered, per log; beyond: OVERLOADED. */
  pendingCountMax: number;
  /** Bytes of encoded commands waiting over all logs; beyond: OVERLOADED. */
  pendingBytesMax: number;
  /** One encoded command; beyond: TOO_LARGE. Below what the transport takes as one message. */
  entryBytesMax: number;
  /** Bytes of entries in one append message; at least one entry is sent. */
  messageBytesMax: number;
  /** Append messages and their bytes under way to one follower; beyond, raft waits for acknowledgements. */
  inflightCountMax: number;
  inflightBytesMax: number;
  /** Durable writes under way at once; beyond, turns gather. */
  appendsMax: number;
  /** Frames received and not yet stepped, messages; beyond, the newest are dropped (raft repeats). */
  inboxCountMax: number;
  /** Append messages that wait for chunks, per log; beyond, dropped (raft repeats). */
  heldCountMax: number;
  /** A wait for chunks is given up after this, ms. */
  chunkWaitMs: number;
  /** Callers that wait for reads, applied indexes or copies, per log; beyond: OVERLOADED. */
  waitersMax: number;
  /** A log is compacted once it has this many bytes or entries above its start ... */
  compactBytes: number;
  compactEntries: number;
  /** ... and keeps this many entries, so that a member briefly away needs no snapshot. */
  keepEntries: number;
  /** Snapshots sent, and received, at the same time; beyond, they are tried again later. */
  snapshotsMax: number;
  /** First and longest pause before a failed snapshot is sent again, ms. */
  snapshotRetryMs: number;
  snapshotRetryMaxMs: number;
  /** Heartbeats for which an idle group must be still before it stops ticking; 0: never. */
  quiesceAfterBeats: number;
  /** Pause between staleness probes, and how long after the last question they go on, ms. */
  probeMs: number;
  probeIdleMs: number;
  /** A learner or new voter has caught up when it is this close to the commit index, entries. */
  caughtUpEntries: number;
  /** Pause between two looks at a membership target, ms. */
  membershipMs: number;
  /** A bootstrap record is sent again after this, ms; the call answers after the timeout at the latest. */
  bootstrapRetryMs: number;
  bootstrapTimeoutMs: number;
  /** A Join waits so long for the stream to its witness, ms; then ZONE_UNAVAILABLE. */
  joinWaitMs: number;
  /** Logs a box holds; beyond, new ones are refused. */
  logsMax: number;
  /** Command feature level that this version knows. */
  featureLevel: number;
}

export const defaultSettings: HostSettings = {
  tickMs: 10,
  pendingCountMax: 32_768,
  pendingBytesMax: 128 * 1024 * 1024,
  entryBytesMax: 4 * 1024 * 1024 - 64 * 1024,
  messageBytesMax: 512 * 1024,
  inflightCountMax: 256,
  inflightBytesMax: 32 * 1024 * 1024,
  appendsMax: 3,
  inboxCountMax: 65_536,
  heldCountMax: 64,
  chunkWaitMs: 10_000,
  waitersMax: 65_536,
  compactBytes: 16 * 1024 * 1024,
  compactEntries: 50_000,
  keepEntries: 5_000,
  snapshotsMax: 2,
  snapshotRetryMs: 200,
  snapshotRetryMaxMs: 10_000,
  quiesceAfterBeats: 2,
  probeMs: 100,
  probeIdleMs: 5_000,
  caughtUpEntries: 64,
  membershipMs: 100,
  bootstrapRetryMs: 200,
  bootstrapTimeoutMs: 10_000,
  joinWaitMs: 5_000,
  logsMax: 10_000,
  featureLevel,
};

/** Durations of one log's elections and beats, ms (raft-and-witness.md "Timing profiles"). */
export interface Timing {
  /** Least election timeout; the real one is drawn from once to twice this. */
  electionMs: number;
  heartbeatMs: number;
  /** Silence of the peer after which a leader with a witness goes SOLO. Invariant: below electionMs. */
  soloAfterMs: number;
}

/** Boxes a few milliseconds apart; what is used when nothing else is said. */
export const regionTiming: Timing = { electionMs: 150, heartbeatMs: 50, soloAfterMs: 120 };
const profiles: Record<string, Timing> = {
  region: regionTiming,
  wan: { electionMs: 1500, heartbeatMs: 150, soloAfterMs: 1200 },
};

/** `region`, `wan`, or JSON of the three durations. */
export function timingOf(text: string): Timing | Refusal {
  const known = profiles[text === "" ? "region" : text];
  if (known !== undefined) return known;
  let parsed: Partial<Timing>;
  try {
    parsed = JSON.parse(text) as Partial<Timing>;
  } catch {
    return refuse("INVALID", `timing is region, wan or JSON, not ${text}`);
  }
  const { electionMs, heartbeatMs, soloAfterMs = Math.floor((electionMs ?? 0) * 0.8) } = parsed;
  if (typeof electionMs !== "number" || typeof heartbeatMs !== "number" || !(heartbeatMs >= 10)) {
    return refuse("INVALID", "timing needs electionMs and heartbeatMs, the latter at least 10");
  }
  if (!(electionMs >= 2 * heartbeatMs) || !(soloAfterMs < electionMs)) {
    return refuse("INVALID", "electionMs must be at least twice heartbeatMs and above soloAfterMs");
  }
  return { electionMs, heartbeatMs, soloAfterMs };
}
