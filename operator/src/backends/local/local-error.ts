import { type ErrorCode, NexusError } from "@nexus-federation/node/base/errors.ts";

/** A refusal of this machine's own (folder, process, context). Its sentence says what to do; no general advice fits. */
export class LocalError extends NexusError {
  constructor(code: ErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
    this.name = "LocalError";
  }
}
