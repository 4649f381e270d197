/**
 * Bounds that decide what apply answers. Every replica must use the same ones: they change only with a feature level.
 */
export interface MachineLimits {
  /** Bytes of a file's content that travels in the log entry. */
  inlineBytesMax: number;
  /** Bytes of one chunk. */
  chunkBytesMax: number;
  /** Bytes of a file's user key-values, keys and values together. */
  metadataBytesMax: number;
  /** Bytes of a content type, a lock owner, a policy word. */
  labelBytesMax: number;
  /** Operations of a batch. */
  batchOperationsMax: number;
  /** Entries that one command may remove recursively or make as parents. */
  commandEntriesMax: number;
  /** Milliseconds of log time for which request ids are remembered. */
  requestWindowMs: number;
  /** Milliseconds by which one command ages them at most, however far the leader's clock jumped. */
  requestStepMsMax: number;
  /** How far a request's time may lie ahead of the log's (a new leader's clock may be behind the old one's). */
  requestAheadMsMax: number;
  /** Remembered requests; above it OVERLOADED. */
  requestsMax: number;
  /** Bytes of remembered requests; above it OVERLOADED. */
  requestBytesMax: number;
  /** Events kept in the change feed at least; those of one or two blocks more may be. */
  feedEventsMax: number;
  /** Entries of the log whose events and requests are forgotten together. */
  blockEntries: number;
  /** Dropped chunks remembered with their index; older ones raise the floor below which uploads are refused. */
  droppedChunksMax: number;
  /** Milliseconds a lock may be held without an extension. */
  lockTtlMsMax: number;
  lockSlotsMax: number;
  /** Waiters of one lock; above it OVERLOADED. */
  lockWaitersMax: number;
  /** Patterns that a zone excludes. */
  exclusionsMax: number;
  /** Files and locks that a refused Cede counts before it says "at least". */
  cedeCountMax: number;
  /** Directories whose place is remembered in memory (no effect on answers). */
  directoryCacheMax: number;
}

export const defaultLimits: MachineLimits = {
  inlineBytesMax: 32 * 1024,
  chunkBytesMax: 1024 * 1024,
  metadataBytesMax: 8 * 1024,
  labelBytesMax: 255,
  batchOperationsMax: 4096,
  commandEntriesMax: 10_000,
  requestWindowMs: 600_000,
  requestStepMsMax: 60_000,
  requestAheadMsMax: 60_000,
  requestsMax: 24_000_000,
  requestBytesMax: 2 ** 31,
  feedEventsMax: 100_000,
  blockEntries: 4096,
  droppedChunksMax: 100_000,
  lockTtlMsMax: 86_400_000,
  lockSlotsMax: 1024,
  lockWaitersMax: 1024,
  exclusionsMax: 4096,
  cedeCountMax: 10_000,
  directoryCacheMax: 8192,
};
