import { crc32 } from "node:zlib";
import { type Command, Reply } from "@nexus-federation/proto/command.ts";
import { type ErrorCode, errorKinds } from "../base/errors.ts";
import { require } from "./violation.ts";

/** Log time for which an answer is surely remembered, ms (machine/limits.ts). */
const windowMs = 600_000;

interface Answered {
  index: number;
  logTimeMs: number;
  requestTimeMs: number;
  reply: number;
  isLock: boolean;
}

/** Exactly once: what was executed for a request id is told again and never done again. */
export class RequestModel {
  readonly #answered = new Map<string, Answered>();
  /** A request without a time of its own was repeated after more than the window, and executed again. */
  lapsed = false;

  /** True when the command is a repetition, so that its reply tells of the past. */
  repeated(index: number, command: Command, reply: Reply): boolean {
    const { requestId, logTimeMs, requestTimeMs } = command;
    if (requestId.length === 0) return false;
    const id = Buffer.from(requestId).toString("latin1");
    const code = reply.result?.$case === "failure" ? (reply.result.value.code as ErrorCode) : undefined;
    const digest = crc32(Reply.encode({ ...reply, executedAt: undefined }).finish());
    const known = this.#answered.get(id);
    // A jump of the clock makes minutes of a moment. Only who carries the time of the first attempt is safe then.
    const lapsed = known !== undefined && logTimeMs - known.logTimeMs > windowMs && requestTimeMs > known.requestTimeMs;
    this.lapsed ||= lapsed;
    if (known === undefined || lapsed) {
      // Refused for its time, or for something that passes: nothing was executed, nothing is remembered.
      if (code === "EXPIRED" || code === "INVALID") return false;
      if (code !== undefined && errorKinds[code].retryable) return false;
      const kind = reply.result?.$case;
      this.#answered.set(id, {
        // Requests age slower than a clock that jumps: it may be remembered all the same.
        index: reply.executedAt ?? index,
        logTimeMs,
        requestTimeMs,
        reply: digest,
        isLock: kind === "grant" || kind === "waiting",
      });
      return reply.executedAt !== undefined;
    }
    if (known.isLock || code === "EXPIRED" || code === "INVALID") return true;
    require(known.reply === digest && reply.executedAt === known.index, () => {
      return `the request executed at ${known.index} was answered differently at ${index}: ${JSON.stringify(reply)}`;
    });
    return true;
  }
}
