// Certificates and the owner's token of a local federation. The authority lives in the folder; leaves are issued for each
// box and for the operator, and again when a third of their life is left.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@nexus-federation/node/base/clock.ts";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { Authority, leafLifeMs } from "@nexus-federation/node/transport/authority.ts";
import {
  type Credentials,
  expiresAtMs,
  readCredentials,
  writeCredentials,
} from "@nexus-federation/node/transport/credentials.ts";
import { type Folder, writePrivate } from "./folder.ts";

/** Id of the supervisor in its certificate. */
export const operatorId = "local";
/** Principal of the owner's token. */
export const ownerPrincipal = "owner";
const tokenBytes = 32;

export class Identities {
  readonly #folder: Folder;
  readonly #authority: Authority;

  private constructor(folder: Folder, authority: Authority) {
    this.#folder = folder;
    this.#authority = authority;
  }

  /** Makes the authority on first use. */
  static async open(folder: Folder, federation: string, nowMs: number): Promise<Identities> {
    if (Authority.exists(folder.authority)) {
      const kept = await Authority.load(folder.authority);
      if (kept.federation === federation) return new Identities(folder, kept);
      const text = `${folder.root} is the folder of federation ${kept.federation}, not of ${federation}; give another one (--dir)`;
      throw new NexusError("INVALID", text);
    }
    const authority = await Authority.create(federation, nowMs);
    await authority.save(folder.authority);
    return new Identities(folder, authority);
  }

  get caPem(): string {
    return this.#authority.certificatePem;
  }

  /** Folder with ca.crt, tls.crt and tls.key of the box. */
  async box(name: string, nowMs: number): Promise<string> {
    await this.#ensure("box", name, nowMs);
    return this.#folder.certificates(name);
  }

  operator(nowMs: number): Promise<Credentials> {
    return this.#ensure("operator", operatorId, nowMs);
  }

  async #ensure(kind: "box" | "operator", id: string, nowMs: number): Promise<Credentials> {
    const folder = kind === "box" ? this.#folder.certificates(id) : join(this.#folder.root, "certs", ".operator");
    if (existsSync(join(folder, "tls.crt"))) {
      const kept = readCredentials(folder);
      if (expiresAtMs(kept) - nowMs > leafLifeMs / 3) return kept;
    }
    const fresh = await this.#authority.issue({ kind, id }, { nowMs });
    writeCredentials(folder, fresh);
    return fresh;
  }
}

/** The owner's token, drawn on first use; boxes get only its hash. */
export function ensureToken(folder: Folder, federation: string, random: Random): string {
  const kept = readContext(folder)?.token;
  if (kept !== undefined && existsSync(folder.tokens)) return kept;
  const token = Buffer.from(random.bytes(tokenBytes)).toString("base64url");
  const entry = {
    name: ownerPrincipal,
    federation,
    sha256: createHash("sha256").update(token).digest("hex"),
    grants: [{ prefix: "/", rights: ["admin"] }],
  };
  writePrivate(folder.tokens, `${JSON.stringify({ tokens: [entry] }, null, 2)}\n`);
  return token;
}

/** What the command line needs to speak to the federation. */
export interface LocalContext {
  federation: string;
  /** Client listeners, "host:port". */
  endpoints: string[];
  token: string;
  /** The authority's certificate, PEM. */
  ca: string;
  dir: string;
}

export function readContext(folder: Folder): LocalContext | undefined {
  if (!existsSync(folder.context)) return undefined;
  return JSON.parse(readFileSync(folder.context, "utf8")) as LocalContext;
}

export function writeContext(folder: Folder, context: LocalContext): void {
  const text = `${JSON.stringify(context, null, 2)}\n`;
  if (existsSync(folder.context) && readFileSync(folder.context, "utf8") === text) return;
  writePrivate(folder.context, text);
}
