// Which federation a command speaks to, and with which credentials. In order: --dir; --context or NEXUS_CONTEXT; the
// folder .nexus/<federation> found here or above; the current context of the contexts file.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { ClientSettings } from "@nexus-federation/node/client/types.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import envPaths from "env-paths";
import { z } from "zod";

/** What `nexus up` writes as context.json into a federation's folder, and what the contexts file holds by name. */
export const contextSchema = z.object({
  federation: z.string(),
  endpoints: z.array(z.string()).min(1),
  token: z.string().optional(),
  ca: z.string().optional(),
  dir: z.string().optional(),
});
export type Context = z.infer<typeof contextSchema>;
const contextsSchema = z.object({
  current: z.string().optional(),
  contexts: z.record(z.string(), contextSchema).default({}),
});
export type Contexts = z.infer<typeof contextsSchema>;

const contextFileName = "context.json";

export function contextsPath(): string {
  return join(envPaths("nexus", { suffix: "" }).config, "contexts.json");
}

export function readContexts(): Contexts {
  const path = contextsPath();
  if (!existsSync(path)) return { contexts: {} };
  try {
    return contextsSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new LocalError("INVALID", `${path} is not a contexts file; mend or remove it`, { cause });
  }
}

export function writeContexts(contexts: Contexts): void {
  const path = contextsPath();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

/**
 * Adds a federation of this machine under its name; it becomes the current one when none is. Answers the name: with a
 * number behind it when another living folder has it. Undefined when the folder has no context yet.
 */
export function rememberFolder(folder: string): string | undefined {
  if (!existsSync(join(folder, contextFileName))) return undefined;
  const { context } = ofFolder(folder);
  const { current, contexts } = readContexts();
  const name = freeName(context.federation, folder, contexts);
  const next = current !== undefined && contexts[current] !== undefined ? current : name;
  if (JSON.stringify(contexts[name]) !== JSON.stringify(context) || next !== current)
    writeContexts({ current: next, contexts: { ...contexts, [name]: context } });
  return name;
}

function freeName(federation: string, folder: string, contexts: Contexts["contexts"]): string {
  const own = Object.keys(contexts).find((name) => contexts[name]?.dir === folder);
  if (own !== undefined) return own;
  for (let number = 1; ; number++) {
    const name = number === 1 ? federation : `${federation}-${number}`;
    const other = contexts[name];
    if (other === undefined) return name;
    // What a folder left behind that is gone.
    if (other.dir !== undefined && !existsSync(join(other.dir, contextFileName))) return name;
  }
}

/** Takes a deleted folder's federation out again. */
export function forgetFolder(folder: string): void {
  const { current, contexts } = readContexts();
  const left = Object.entries(contexts).filter(([, context]) => context.dir !== folder);
  if (left.length === Object.keys(contexts).length) return;
  const stays = left.some(([name]) => name === current);
  writeContexts({ ...(stays ? { current } : {}), contexts: Object.fromEntries(left) });
}

export interface FoundContext {
  name: string;
  /** Where it came from, for messages. */
  source: string;
  context: Context;
  settings: ClientSettings;
}

let given: FoundContext | undefined;

/** Every verb of this process speaks to this federation, whatever its options say. */
export function useContext(context: FoundContext): void {
  given = context;
}

export function findContext(options: { dir?: string; context?: string }): FoundContext {
  if (given !== undefined) return given;
  const name = options.context ?? (process.env["NEXUS_CONTEXT"] || undefined);
  if (options.dir !== undefined) return ofFolder(federationFolder(resolve(options.dir)));
  if (name !== undefined) return ofName(name, readContexts());
  const folder = folderAbove(process.cwd());
  if (folder !== undefined) return ofFolder(folder);
  const contexts = readContexts();
  if (contexts.current !== undefined) return ofName(contexts.current, contexts);
  throw new LocalError(
    "INVALID",
    "no federation found: run `nexus up -f FILE` here, or give --dir DIR or --context NAME",
  );
}

function ofName(name: string, contexts: Contexts): FoundContext {
  const context = contexts.contexts[name];
  if (!context) {
    const known = Object.keys(contexts.contexts).sort().join(", ") || "none";
    throw new LocalError("INVALID", `context ${name}: not in ${contextsPath()} (known: ${known})`);
  }
  return { name, source: contextsPath(), context, settings: settingsOf(context) };
}

/** Files of the Secret `nexus-token` where a pod mounts it: what the operator writes for clients. */
const secretFiles = ["endpoint", "federation", "token", "ca.crt"] as const;

function isMountedSecret(folder: string): boolean {
  return secretFiles.every((name) => existsSync(join(folder, name)));
}

function ofMountedSecret(folder: string): FoundContext {
  const [endpoint, federation, token, ca] = secretFiles.map((name) => readFileSync(join(folder, name), "utf8").trim());
  const context = contextSchema.parse({ federation, endpoints: [endpoint], token, ca });
  return { name: context.federation, source: folder, context, settings: settingsOf(context) };
}

function ofFolder(folder: string): FoundContext {
  const path = join(folder, contextFileName);
  if (!existsSync(path) && isMountedSecret(folder)) return ofMountedSecret(folder);
  if (!existsSync(path)) throw new LocalError("INVALID", `the federation of ${folder} is not up yet, or never was`);
  try {
    const context = contextSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    return {
      name: context.federation,
      source: path,
      // Who moved the folder moved the federation with it; one that runs elsewhere has no folder (compose.yaml).
      context: context.dir === undefined ? context : { ...context, dir: folder },
      settings: settingsOf(context),
    };
  } catch (cause) {
    throw new LocalError("INVALID", `${path} cannot be read; is the federation of this folder up?`, { cause });
  }
}

function settingsOf(context: Context): ClientSettings {
  const { federation, endpoints, token, ca } = context;
  return { federation, endpoints, token, ca };
}

/** `dir` itself when it is a federation's folder, else the one federation below it. */
export function federationFolder(dir: string): string {
  if (isFederation(dir) || isMountedSecret(dir)) return dir;
  const below = foldersIn(dir);
  if (below.length === 1) return below[0]!;
  if (below.length > 1)
    throw new LocalError("INVALID", `${dir} holds several federations (${below.join(", ")}); give --dir one of them`);
  throw new LocalError("INVALID", `${dir} holds no federation; give the folder that nexus up made`);
}

export function hasFederation(dir: string): boolean {
  return foldersIn(dir).length > 0;
}

/** The one federation in the folder `.nexus` of `start` or above it. */
export function folderAbove(start: string): string | undefined {
  for (let at = start; ; at = dirname(at)) {
    const candidate = join(at, ".nexus");
    if (hasFederation(candidate)) return federationFolder(candidate);
    if (at === dirname(at)) return undefined;
  }
}

/** By its context, or by what its first `up` makes before it has one: else what is meant for it would go elsewhere. */
function isFederation(dir: string): boolean {
  return existsSync(join(dir, contextFileName)) || existsSync(new Folder(dir).run);
}

function foldersIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isDirectory() && isFederation(path));
}
