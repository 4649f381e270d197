import type { Logger } from "./log.ts";

/**
 * Ends the process after a line when an error reaches nobody. Whatever state it leaves behind must not serve: the
 * supervisor starts the process anew from its disk.
 */
export function endOnUnforeseen(logger: Logger): void {
  process.on("uncaughtException", (error, origin) => {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: "" };
    logger.fatal({ reason: message, stack, origin }, "an unforeseen error; the process ends");
    process.exit(1);
  });
}
