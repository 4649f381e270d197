// Pages that are made from the command line's own definition and from the HTTP door's routes, so that they cannot differ.
import { httpDoor } from "@nexus-federation/node/server/http-door.ts";
import type { Document } from "@nexus-federation/node/server/http-openapi.ts";
import { cell, generatedMark } from "@nexus-federation/operator/gen/page.ts";
import type { Argument, Command, Option } from "commander";
import { durationHelp } from "../durations.ts";
import { kubectlNexus } from "../kubectl/program.ts";
import { nexusProgram } from "../program.ts";
import { batchFormat } from "../verbs/batch.ts";

/** Text by path from the root of the checkout. */
export async function referencePages(): Promise<Map<string, string>> {
  return new Map([
    ["docs/reference/cli.md", cliPage(nexusProgram())],
    ["docs/reference/kubectl-nexus.md", kubectlPage(kubectlNexus("kubectl"))],
    ["docs/reference/http.md", httpPage(await openApi())],
  ]);
}

/** The routes' own description; no request is ever served here, so the box behind them is never asked. */
async function openApi(): Promise<Document> {
  const never = (): never => {
    throw new Error("the door that describes itself serves nobody");
  };
  const door = await httpDoor({
    box: { handle: never } as never,
    authenticator: { authenticate: never },
    identityOf: never,
    metrics: never,
    lockWaiters: undefined as never,
    version: "1",
  });
  const document = door.openApi();
  await door.close();
  return document;
}

/** docs/reference/cli.md */
function cliPage(program: Command): string {
  const parts = [
    generatedMark,
    "# Command line",
    `${program.description()} \`./nexus\` of a checkout and the installed \`nexus\` are the same.`,
    "Every verb takes these options, before or after its name:",
    optionTable(program.options),
    'Exit codes: 0 done, 1 refused or failed (the code is on stderr, and with `--json` on stdout as `{"error": {"code", "message", …}}`), 2 wrong usage (code `USAGE`). `nexus lock` hands on the exit code of its command, and ends with 75 when the lock was lost.',
    `Durations: ${durationHelp}.`,
    "`NEXUS_CONTEXT` names a context; `NEXUS_FENCE` and `NEXUS_LOCK_PATH`, which `nexus lock` sets, are taken by verbs that write; `NEXUS_DEBUG` prints stack traces of faults.",
  ];
  for (const command of leaves(program)) parts.push(...commandSection(command));
  return `${parts.join("\n\n")}\n`;
}

/** docs/reference/kubectl-nexus.md: what Kubernetes adds in full, the common verbs by name. */
function kubectlPage(program: Command): string {
  const common = new Set(leaves(nexusProgram()).map((command) => command.name()));
  const own = leaves(program).filter((command) => !common.has(command.name()) || command.name() === "status");
  const shared = leaves(program).filter((command) => !own.includes(command));
  const names = shared.map((command) => `\`${namesOf(command).slice(1).join(" ")}\``);
  const parts = [
    generatedMark,
    "# kubectl nexus",
    `${program.description()} A program \`kubectl-nexus\` in PATH (of a checkout: its folder; else \`dist/kubectl-nexus.mjs\` of \`npm run build\` under that name) is what kubectl takes for \`kubectl nexus\`. Options stand behind \`nexus\`: \`kubectl nexus -n files status\`.`,
    optionTable(program.options),
    `These verbs are those of [nexus](cli.md): ${names.join(", ")}. They come in with the token of Secret \`nexus-token\`, which whoever uses them must be allowed to read, through a port-forward to each running data box (9 at most); a pod that is replaced is connected again. \`NEXUS_KUBECTL\` names another kubectl.`,
  ];
  for (const command of own) parts.push(...commandSection(command));
  return `${parts.join("\n\n")}\n`;
}

function namesOf(command: Command): string[] {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name());
  return names;
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function commandSection(command: Command): string[] {
  const names = namesOf(command);
  const usage = [...names, ...command.registeredArguments.map(argumentText)].join(" ");
  const section = [`## ${names.join(" ")}`, `\`${usage}\``, `${capital(command.description())}.`];
  if (command.options.length > 0) section.push(optionTable(command.options));
  if (command.name() === "batch") section.push(`\`\`\`text\n${batchFormat}\n\`\`\``);
  return section;
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function optionTable(options: readonly Option[]): string {
  const rows = options.map((option) => {
    const initial = Array.isArray(option.defaultValue) || option.defaultValue === undefined ? "" : option.defaultValue;
    const choices = option.argChoices ? `: ${option.argChoices.join(", ")}` : "";
    const must = option.mandatory ? "required" : initial === "" ? "" : `\`${String(initial)}\``;
    return `| \`${cell(option.flags)}\` | ${must} | ${cell(option.description + choices)} |`;
  });
  return ["| option | default | meaning |", "|---|---|---|", ...rows].join("\n");
}

/** docs/reference/http.md */
function httpPage(document: Document): string {
  const parts = [
    generatedMark,
    "# HTTP",
    "Made from `/openapi.json` of a box, which is the whole description (OpenAPI 3.1). Requests carry `Authorization: Bearer TOKEN` or a client certificate; `/healthz`, `/readyz` and `/openapi.json` need neither. Every answer about data has its receipt in `Nexus-Receipt` (RFC 9651 dictionary) and in its JSON body; every refusal is `application/problem+json` with `code`, `status`, `detail` and `advice` ([errors](errors.md)).",
    "A path is sent as it is, each segment percent-encoded by itself: `%2F`, NUL and bad UTF-8 are `INVALID`. `/zone:ID/p` addresses a zone by its own root.",
  ];
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(methods)) {
      parts.push(`## ${method.toUpperCase()} ${path}`, operation.summary ?? "");
      const parameters = (operation.parameters ?? []).filter((one) => one.in !== "path");
      if (parameters.length > 0) parts.push(parameterTable(parameters));
      const body = bodyOf(operation);
      if (body) parts.push("Body:", `\`\`\`json\n${JSON.stringify(body, null, 2)}\n\`\`\``);
    }
  }
  return `${parts.join("\n\n")}\n`;
}

function parameterTable(parameters: { name: string; in: string; description?: string; schema?: unknown }[]): string {
  const rows = parameters.map((one) => {
    const description = one.description ?? (one.schema as { description?: string } | undefined)?.description ?? "";
    return `| \`${one.name}\` | ${one.in} | ${cell(description)} |`;
  });
  return ["| parameter | in | meaning |", "|---|---|---|", ...rows].join("\n");
}

function bodyOf(operation: object): unknown {
  const { requestBody } = operation as { requestBody?: { content?: Record<string, { schema?: unknown }> } };
  return requestBody?.content?.["application/json"]?.schema;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
