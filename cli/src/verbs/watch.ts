import { jsonFile } from "@nexus-federation/node/base/json.ts";
import type { Command } from "commander";
import { oneLine } from "../show.ts";
import { type Tools, verb } from "../tools.ts";
import { folderPath } from "../tree-path.ts";

export function watchVerbs(program: Command): void {
  program
    .command("watch <path>")
    .description("print changes at and below a path as they happen; Ctrl-C ends it")
    .option("--after <token>", "resume behind this token of an earlier change")
    .action(verb(watch));
}

async function watch(tools: Tools, path: string, flags: { after?: string }): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  for await (const { token, events } of tools.client.watch(folderPath(path), {
    after: flags.after,
    signal: stop.signal,
  })) {
    for (const event of events) {
      const from = event.fromPath ? `${event.fromPath} -> ` : "";
      const file = event.info && jsonFile(event.info);
      tools.print(
        `${new Date(event.logTimeMs).toISOString()}  ${event.kind.padEnd(17)} ${oneLine(`${from}${event.path}`)}`,
        {
          ...event,
          info: undefined,
          file,
          token,
        },
      );
    }
  }
}
