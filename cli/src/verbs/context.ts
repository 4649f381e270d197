import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { Command } from "commander";
import { contextsPath, findContext, readContexts, writeContexts } from "../context.ts";
import { table } from "../show.ts";
import { type Tools, verb } from "../tools.ts";

export function contextVerbs(program: Command): void {
  const context = program.command("context").description("which federation commands speak to");
  context.command("ls").description("known contexts").action(verb(list));
  context.command("use <name>").description("make it the current one").action(verb(use));
  context.command("show [name]").description("endpoint, token and authority in use").action(verb(show));
}

async function list(tools: Tools): Promise<void> {
  const { current, contexts } = readContexts();
  const rows = Object.entries(contexts).map(([name, c]) => ({
    name,
    current: name === current,
    federation: c.federation,
    endpoints: c.endpoints,
  }));
  tools.print(
    table(
      rows.map((row) => [row.current ? "*" : "", row.name, row.federation, row.endpoints.join(",")]),
      { head: ["", "NAME", "FEDERATION", "ENDPOINTS"] },
    ),
    rows,
  );
}

async function use(tools: Tools, name: string): Promise<void> {
  const contexts = readContexts();
  if (!contexts.contexts[name]) {
    throw new LocalError(
      "NOT_FOUND",
      `context ${name}: not in ${contextsPath()} (known: ${Object.keys(contexts.contexts).join(", ") || "none"})`,
    );
  }
  writeContexts({ ...contexts, current: name });
  tools.print(`${name} is the current context`, { current: name });
}

async function show(tools: Tools, name: string | undefined): Promise<void> {
  const found = findContext(name === undefined ? tools.options : { context: name });
  const { federation, endpoints, token, ca } = found.context;
  const shown = { name: found.name, source: found.source, federation, endpoint: endpoints[0], endpoints, token, ca };
  tools.print(
    [
      `name        ${found.name} (${found.source})`,
      `federation  ${federation}`,
      `endpoint    ${endpoints.join(", ")}`,
      `token       ${token ?? "none"}`,
      `ca          ${ca ? "given (--json prints it)" : "none: plaintext"}`,
    ].join("\n"),
    shown,
  );
}
