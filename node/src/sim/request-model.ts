import { crc32 } from "node:zlib";
import { type Command, Reply } from "@nexus-federation/proto/command.ts";
import { type ErrorCode, errorKinds } from "../base/errors.ts";
import { require } from "./violation.ts";

interface Answered {
  index: number;
  reply: number;
  isLock: boolean;
}

/** Exactly once: what was executed for a request id is told again and never done again. */
export class RequestModel {
  readonly #answered = new Map<string, Answered>();

  /** True when the command is a repetition, so that its reply tells of the past. */
  repeated(index: number, { requestId }: Command, reply: Reply): boolean {
    if (requestId.length === 0) return false;
    const id = Buffer.from(requestId).toString("latin1");
    const code = reply.result?.$case === "failure" ? (reply.result.value.code as ErrorCode) : undefined;
    const digest = crc32(Reply.encode(reply).finish());
    const known = this.#answered.get(id);
    if (known === undefined) {
      if (code !== undefined && errorKinds[code].retryable) return false;
      const kind = reply.result?.$case;
      this.#answered.set(id, { index, reply: digest, isLock: kind === "grant" || kind === "waiting" });
      return false;
    }
    if (known.isLock || code === "EXPIRED" || code === "INVALID") return true;
    require(known.reply === digest, () => {
      return `the request executed at ${known.index} was answered differently at ${index}: ${JSON.stringify(reply)}`;
    });
    return true;
  }
}
