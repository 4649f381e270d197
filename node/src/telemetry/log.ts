import { type DestinationStream, type Logger, pino } from "pino";

export type { Logger } from "pino";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Field values under these names never reach a log. */
const secretFields = ["token", "bearer", "authorization", "key", "*.token", "*.bearer", "*.authorization", "*.key"];

/**
 * The process's log: one JSON object a line, time in ISO form, `level` as text. Messages are constant sentences, all that
 * varies is a field, so that lines can be counted and searched. Writing is asynchronous: a slow reader of the log
 * must not stop the event loop.
 */
export function createLogger(init: {
  level: LogLevel;
  /** On every line: federation, box, incarnation. */
  fields: Record<string, string>;
  destination?: DestinationStream;
}): Logger {
  const options = {
    level: init.level,
    base: init.fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretFields, censor: "[secret]" },
  };
  return pino(options, init.destination ?? pino.destination({ fd: 1, sync: false, maxLength: logBufferBytesMax }));
}

/** Beyond this many bytes not yet written, lines are dropped. */
const logBufferBytesMax = 8 * 1024 * 1024;

/** The log of one room. */
export function roomLog(root: Logger, room: string): Logger {
  return root.child({ room });
}
