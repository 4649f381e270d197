// What every verb shares: finding the federation, printing for people or as JSON, exit codes.
import { existsSync } from "node:fs";
import { type ErrorCode, errorKinds, messageOf, NexusError, type Refusal } from "@nexus-federation/node/base/errors.ts";
import { revisionText } from "@nexus-federation/node/base/json.ts";
import { NexusAdmin } from "@nexus-federation/node/client/admin.ts";
import { NexusClient } from "@nexus-federation/node/client/client.ts";
import type { ClientSettings } from "@nexus-federation/node/client/types.ts";
import { claimant } from "@nexus-federation/operator/backends/local/claim.ts";
import { notUp } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { Receipt } from "@nexus-federation/proto/records.ts";
import type { Command } from "commander";
import { type FoundContext, findContext } from "./context.ts";
import { parseSpan, UsageError } from "./durations.ts";
import { oneLine } from "./show.ts";

/** Options that every verb takes. */
export interface GlobalOptions {
  dir?: string;
  context?: string;
  json?: boolean;
  timeout?: string;
}

export class Tools {
  readonly options: GlobalOptions;
  /** As it is called: "put". */
  readonly verbName: string;
  #client: NexusClient | undefined;
  #settings: ClientSettings | undefined;

  constructor(command: Command) {
    this.options = command.optsWithGlobals();
    this.verbName = command.name();
  }

  get json(): boolean {
    return this.options.json === true;
  }
  get timeoutMs(): number | undefined {
    if (this.options.timeout === undefined) return undefined;
    return parseSpan(this.options.timeout, "--timeout");
  }
  get settings(): ClientSettings {
    this.#settings ??= settingsOfRunning(findContext(this.options));
    return this.#settings;
  }
  get client(): NexusClient {
    this.#client ??= new NexusClient({ ...this.settings, timeoutMs: this.timeoutMs ?? 10_000 });
    return this.#client;
  }

  /** Admin calls to the first box that answers, or to `box`. */
  async admin(box?: string): Promise<NexusAdmin> {
    const failures: string[] = [];
    for (const endpoint of await this.#endpointsOf(box)) {
      const admin = new NexusAdmin(this.settings, endpoint);
      try {
        await admin.status(2000);
        return admin;
      } catch (error) {
        admin.close();
        if (error instanceof NexusError && !error.retryable && error.code !== "DEADLINE") throw error;
        failures.push(`${endpoint}: ${messageOf(error)}`);
      }
    }
    throw new NexusError("ZONE_UNAVAILABLE", `no box answers (${failures.join("; ")})`);
  }

  async #endpointsOf(box: string | undefined): Promise<string[]> {
    if (box === undefined) return this.settings.endpoints;
    const { boxes } = await this.client.hello();
    const found = boxes.find((one) => one.name === box);
    if (!found)
      throw new NexusError(
        "NOT_FOUND",
        `box ${box}: the federation has ${boxes.map((one) => one.name).join(", ") || "none"}`,
      );
    return [found.clientEndpoint];
  }

  /** One object on stdout: JSON when asked, else the text. */
  print(text: string, json: unknown): void {
    process.stdout.write(this.json ? `${JSON.stringify(json, jsonValue)}\n` : text === "" ? "" : `${text}\n`);
  }

  close(): void {
    this.#client?.close();
  }
}

/** Runs a verb and ends the process: the number it gives or 0, 1 (refused, with the code), 2 (usage). */
export function verb(act: (tools: Tools, ...args: never[]) => Promise<unknown>) {
  return async (...args: unknown[]) => {
    const command = args.at(-1) as Command;
    const tools = new Tools(command);
    let code: number;
    try {
      const result = await act(tools, ...(args as never[]));
      code = typeof result === "number" ? result : 0;
    } catch (error) {
      code = report(tools, error);
    }
    tools.close();
    process.exitCode = code;
    // What could not be written is told, and ends the process, by the output's own listener (runCommandLine).
    process.stdout.write("", (fault) => (fault ? setImmediate(() => process.exit(code || 1)) : process.exit(code)));
  };
}

/** Says what went wrong; answers the exit code. */
export function report(tools: Tools, error: unknown): number {
  if (error instanceof UsageError) {
    if (tools.json) printError("USAGE", error.message);
    process.stderr.write(`nexus: ${oneLine(error.message)}\n`);
    return 2;
  }
  if (error instanceof NexusError) {
    if (tools.json) printError(error.code, error.message, error.refusal);
    process.stderr.write(`nexus: ${error.code}: ${oneLine(error.message)}\n`);
    if (!tools.json && !(error instanceof LocalError))
      process.stderr.write(`       ${adviceOf(error.code, tools.verbName)}\n`);
    return 1;
  }
  const isMistake = error instanceof TypeError || error instanceof ReferenceError;
  const said = isMistake ? `a fault inside nexus (${messageOf(error)}); NEXUS_DEBUG=1 shows where` : messageOf(error);
  const text = systemSentence(error) ?? said;
  if (tools.json) printError("INTERNAL", text);
  process.stderr.write(`nexus: ${error instanceof Error && process.env["NEXUS_DEBUG"] ? error.stack : text}\n`);
  return 1;
}

const occupied = "Use another path (a / at its end goes into a folder), or -f to replace a file by a file.";
/** Where a code means one thing only. */
const verbAdvice: Partial<Record<string, Partial<Record<ErrorCode, string>>>> = {
  mkdir: {
    NOT_FOUND: "Make its parents too with mkdir -p.",
    ALREADY_EXISTS: "Use another path; mkdir -p takes a directory that is there.",
  },
  mv: { ALREADY_EXISTS: occupied },
  cp: { ALREADY_EXISTS: occupied },
  restore: { ALREADY_EXISTS: "Restore it under another name." },
};

/** Advice of the code, in the words of the command line where it has an option for it. */
export function adviceOf(code: ErrorCode, verbName: string): string {
  const ofVerb = verbAdvice[verbName]?.[code];
  if (ofVerb !== undefined) return ofVerb;
  const here: Partial<Record<ErrorCode, string>> = {
    NO_ZONE: "See the paths that have a zone with nexus zone ls; nexus apply -f adds a ConsensusZone.",
    NOT_FOUND: "List the parent to see what is there: nexus ls.",
    WRONG_TYPE: "nexus stat tells what it is; a folder is for ls, get -r, put -r and rm -r, a file for get and put.",
    LOCKED: "Wait for it with --wait 30s, or try later.",
    NOT_EMPTY: "Empty it first, or delete recursively with rm -r.",
    DEADLINE: "Retry, with more time (--timeout 30s) if needed.",
    ZONE_UNAVAILABLE: "Retry, or see nexus status and nexus doctor.",
    UNKNOWN_OUTCOME: "Read it back, or retry with the same --request-id: it is applied at most once.",
    UNAUTHENTICATED: "Use the context of that federation (nexus context ls); its token or certificate is what counts.",
  };
  return here[code] ?? errorKinds[code].advice;
}

const systemTexts: Record<string, string> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "is a folder, a file is expected",
  ENOTDIR: "a part of the path is no folder",
  ENOSPC: "no space left on the disk",
  EROFS: "the disk is read-only",
  ENAMETOOLONG: "the name is too long for this disk",
  EMFILE: "too many open files of this process (see ulimit -n)",
  ENFILE: "too many open files on this machine",
  EEXIST: "exists already",
  ENOTEMPTY: "the folder is not empty",
  ELOOP: "a symbolic link leads to itself",
  EIO: "the disk cannot be read or written",
  EDQUOT: "the quota of the disk is used up",
  EFBIG: "the file is too large for this disk",
  EBUSY: "is in use",
  ENXIO: "nothing stands behind it",
  EADDRINUSE: "the port is taken by another process",
  EADDRNOTAVAIL: "this machine has no such address",
};

/** A fault of this machine's files in plain words; undefined when the error is of another kind. */
export function systemSentence(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || (syscall === undefined && systemTexts[code] === undefined)) return undefined;
  const text = systemTexts[code] ?? error.message;
  return path === undefined ? `${text} (${code})` : `${path}: ${text}`;
}

/** Of a federation on this machine it is known at once when it does not run. */
function settingsOfRunning({ context, settings }: FoundContext): ClientSettings {
  if (context.dir !== undefined && existsSync(context.dir)) {
    const folder = new Folder(context.dir);
    if (!claimant(folder)) throw new LocalError("ZONE_UNAVAILABLE", notUp(folder));
  }
  return settings;
}

/** With --json an error is one object on stdout too. USAGE: a wrong call of the command line itself. */
export function printError(code: ErrorCode | "USAGE", message: string, more: Partial<Refusal> = {}): void {
  process.stdout.write(`${JSON.stringify({ error: { ...more, code, message } })}\n`);
}

/** What cannot be undone takes the name twice. */
export function checkConfirmed(what: "box" | "zone", name: string, given: string): void {
  if (given !== name) throw new UsageError(`--confirm: expected the ${what}'s name "${name}", got "${given}"`);
}

/** "zone root, strong_ha, revision 1.42, 2 copies, linearizable" */
export function receiptLine(receipt: Receipt): string {
  const parts = [
    `zone ${receipt.zone}`,
    receipt.mode,
    `revision ${revisionText(receipt.generation, receipt.index)}`,
    `${receipt.copies} ${receipt.copies === 1 ? "copy" : "copies"}${receipt.degraded ? " (DEGRADED)" : ""}`,
    receipt.stalenessMs === 0 ? "linearizable" : `at most ${receipt.stalenessMs} ms old`,
  ];
  return parts.join(", ");
}

/** Bytes as hex, bigints as text: what JSON cannot hold otherwise. */
export function jsonValue(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value && typeof value === "object" && (value as { type?: string }).type === "Buffer") {
    return Buffer.from((value as { data: number[] }).data).toString("hex");
  }
  return typeof value === "bigint" ? value.toString() : value;
}
