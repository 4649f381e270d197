// Certificates and the owner's token of a local federation. The authority lives in the folder; leaves are issued for each
// box and for the operator, and again when a third of their life is left.
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@nexus-federation/node/base/clock.ts";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { Authority, leafLifeMs, revocationListLifeMs } from "@nexus-federation/node/transport/authority.ts";
import {
  type Credentials,
  expiresAtMs,
  readCredentials,
  writeCredentials,
} from "@nexus-federation/node/transport/credentials.ts";
import { ownerPrincipal, ownerTokenBytes, renewBelow } from "../shared/credentials.ts";
import { type Folder, writePrivate } from "./folder.ts";

/** Id of the supervisor in its certificate. */
const operatorId = "local";
/** Beside the boxes' folders; no box has a name that begins with a dot. */
const operatorFolder = ".operator";
const certificateFile = "tls.crt";
/** In a box's folder: its certificates that were replaced and would still be taken, PEM. */
const formerFile = "former.crt";
/** In a box's folder while those are to be revoked: who ends in between must not forget it. */
const revokingFile = "revoking";

export class Identities {
  readonly #folder: Folder;
  readonly #authority: Authority;
  readonly #leafLifeMs: number;

  private constructor(folder: Folder, authority: Authority, lifeMs: number) {
    this.#folder = folder;
    this.#authority = authority;
    this.#leafLifeMs = lifeMs;
  }

  /** Makes the authority on first use. */
  static async open(
    folder: Folder,
    federation: string,
    { nowMs, lifeMs = leafLifeMs }: { nowMs: number; lifeMs?: number | undefined },
  ): Promise<Identities> {
    if (Authority.exists(folder.authority)) {
      const kept = await Authority.load(folder.authority);
      if (kept.federation === federation) return new Identities(folder, kept, lifeMs);
      const text = `${folder.root} is the folder of federation ${kept.federation}, not of ${federation}; give another one (--dir)`;
      throw new NexusError("INVALID", text);
    }
    const authority = await Authority.create(federation, nowMs);
    await authority.save(folder.authority);
    return new Identities(folder, authority, lifeMs);
  }

  get caPem(): string {
    return this.#authority.certificatePem;
  }

  /** Folder with ca.crt, tls.crt and tls.key of the box. */
  async box(name: string, nowMs: number): Promise<string> {
    await this.#ensure("box", name, nowMs);
    return this.#folder.certificates(name);
  }

  /** What `box` has issued. */
  credentials(name: string): Credentials {
    return readCredentials(this.#folder.certificates(name));
  }

  operator(nowMs: number): Promise<Credentials> {
    return this.#ensure("operator", operatorId, nowMs);
  }

  /**
   * Another certificate for the box, which takes it by itself. Answers the former one, good until `revokeFormer`;
   * undefined: it had none.
   */
  async reissue(name: string, nowMs: number): Promise<string | undefined> {
    const folder = this.#folder.certificates(name);
    if (!existsSync(join(folder, certificateFile))) return undefined;
    const former = readFileSync(join(folder, certificateFile), "utf8");
    writePrivate(join(folder, revokingFile), "");
    await this.#replace("box", name, nowMs);
    return former;
  }

  /**
   * From here on nobody who has the next list takes a certificate of those that were issued again, whenever it was replaced:
   * a key may have been known for long. Every box gets that list.
   */
  async revokeFormer(nowMs: number, boxes = readdirSync(this.#folder.certificates(""))): Promise<void> {
    const folders = boxes.map((name) => this.#folder.certificates(name));
    const revoking = folders.filter((folder) => existsSync(join(folder, revokingFile)));
    if (revoking.length === 0) return;
    await this.#revoke(
      revoking.flatMap((folder) => certificatesIn(formerIn(folder))),
      nowMs,
    );
    for (const folder of revoking)
      for (const name of [revokingFile, formerFile]) rmSync(join(folder, name), { force: true });
  }

  /** Of a box that is gone for good. */
  async forget(name: string, nowMs: number): Promise<void> {
    const folder = this.#folder.certificates(name);
    if (!existsSync(join(folder, certificateFile))) return;
    const own = readFileSync(join(folder, certificateFile), "utf8");
    await this.#revoke(
      certificatesIn(own + formerIn(folder)).filter((pem) => isTakenAt(pem, nowMs)),
      nowMs,
    );
    rmSync(folder, { recursive: true });
  }

  async #revoke(certificates: readonly string[], nowMs: number): Promise<void> {
    for (const certificate of certificates) await this.#authority.revoke(certificate, nowMs);
    await this.#authority.save(this.#folder.authority);
    await this.renew(nowMs);
  }

  /** Renews what will end soon: the revocation list and every leaf. Boxes look at their files by themselves. */
  async renew(nowMs: number): Promise<void> {
    if (this.#authority.listExpiresAtMs - nowMs < revocationListLifeMs * renewBelow) {
      await this.#authority.renewList(nowMs);
      await this.#authority.save(this.#folder.authority);
    }
    for (const name of readdirSync(this.#folder.certificates(""))) {
      if (name === operatorFolder) await this.operator(nowMs);
      else await this.box(name, nowMs);
    }
  }

  async #ensure(kind: "box" | "operator", id: string, nowMs: number): Promise<Credentials> {
    const folder = this.#folder.certificates(kind === "box" ? id : operatorFolder);
    const kept = usable(folder);
    const lasts = kept !== undefined && expiresAtMs(kept) - nowMs > this.#leafLifeMs * renewBelow;
    const crl = this.#authority.crlPem;
    if (lasts && kept.crl === crl) return kept;
    if (!lasts) return this.#replace(kind, id, nowMs);
    writeCredentials(folder, { ...kept, crl });
    return { ...kept, crl };
  }

  async #replace(kind: "box" | "operator", id: string, nowMs: number): Promise<Credentials> {
    const folder = this.#folder.certificates(kind === "box" ? id : operatorFolder);
    const next = await this.#issue(kind, id, nowMs);
    const file = join(folder, certificateFile);
    const known = certificatesIn(formerIn(folder) + (existsSync(file) ? readFileSync(file, "utf8") : ""));
    const former = [...new Set(known)].filter((pem) => isTakenAt(pem, nowMs));
    if (former.length > 0) writePrivate(join(folder, formerFile), `${former.join("\n")}\n`);
    writeCredentials(folder, next);
    return next;
  }

  #issue(kind: "box" | "operator", id: string, nowMs: number): Promise<Credentials> {
    return this.#authority.issue({ kind, id }, { nowMs, lifeMs: this.#leafLifeMs, hosts: [id] });
  }
}

/** What is there, when it fits together: who was killed between two files left halves. */
function usable(folder: string): Credentials | undefined {
  if (!existsSync(join(folder, certificateFile))) return undefined;
  try {
    const kept = readCredentials(folder);
    return new X509Certificate(kept.certificate).checkPrivateKey(createPrivateKey(kept.key)) ? kept : undefined;
  } catch {
    return undefined;
  }
}

function formerIn(folder: string): string {
  const file = join(folder, formerFile);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** False too for what is no certificate. */
function isTakenAt(pem: string, nowMs: number): boolean {
  try {
    return Date.parse(new X509Certificate(pem).validTo) > nowMs;
  } catch {
    return false;
  }
}

const certificatesIn = (pem: string): string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];

/** The owner's token, drawn on first use; boxes get only its hash. */
export function ensureToken(folder: Folder, federation: string, random: Random): string {
  const kept = readContext(folder)?.token;
  if (kept !== undefined && existsSync(folder.tokens)) return kept;
  const token = Buffer.from(random.bytes(ownerTokenBytes)).toString("base64url");
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
  /** The folder; absent where nobody supervises the federation from there. */
  dir?: string;
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
