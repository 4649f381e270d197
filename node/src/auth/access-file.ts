import { fromHex } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { type AccessTable, type Grant, isNormal, rights, type TokenRecord } from "./checks.ts";

/**
 * Reads the JSON of a token file: {"tokens": [{"name", "federation"?, "sha256": hex, "grants": [{"prefix", "rights"}],
 * "expires"?: ISO time}], "users": [{"name", "grants"}]}. INVALID names the first wrong field.
 */
export function readAccessTable(federation: string, json: unknown): AccessTable | Refusal {
  try {
    const root = object(json, "the file");
    const tokens = list(root["tokens"], "tokens").map((entry, i) => readToken(federation, entry, `tokens[${i}]`));
    const users = list(root["users"], "users").map((entry, i) => {
      const at = `users[${i}]`;
      const user = object(entry, at);
      return { name: text(user["name"], `${at}.name`), grants: readGrants(user["grants"], `${at}.grants`) };
    });
    return { federation, tokens, users };
  } catch (error) {
    if (error instanceof FieldError) return refuse("INVALID", `access file: ${error.message}`);
    throw error;
  }
}

function readToken(federation: string, entry: unknown, at: string): TokenRecord {
  const token = object(entry, at);
  const sha256 = fromHex(text(token["sha256"], `${at}.sha256`));
  if (sha256?.length !== 32) throw new FieldError(`${at}.sha256 must be 64 hex digits`);
  const expires = token["expires"] === undefined ? undefined : Date.parse(text(token["expires"], `${at}.expires`));
  if (Number.isNaN(expires)) throw new FieldError(`${at}.expires must be an ISO time`);
  return {
    name: text(token["name"], `${at}.name`),
    federation: token["federation"] === undefined ? federation : text(token["federation"], `${at}.federation`),
    sha256,
    grants: readGrants(token["grants"], `${at}.grants`),
    expiresAtMs: expires,
  };
}

function readGrants(value: unknown, at: string): Grant[] {
  return list(value, at).map((entry, i) => {
    const grant = object(entry, `${at}[${i}]`);
    const prefix = text(grant["prefix"], `${at}[${i}].prefix`);
    if (!isNormal(prefix)) throw new FieldError(`${at}[${i}].prefix must be "/" or a path without a slash at its end`);
    const given = list(grant["rights"], `${at}[${i}].rights`).map((right) => {
      const known = rights.find((one) => one === right);
      if (known === undefined) throw new FieldError(`${at}[${i}].rights may hold ${rights.join(", ")}`);
      return known;
    });
    return { prefix, rights: given };
  });
}

class FieldError extends Error {}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new FieldError(`${at} must be an object`);
}

function list(value: unknown, at: string): unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new FieldError(`${at} must be a list`);
}

function text(value: unknown, at: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new FieldError(`${at} must be text`);
}
