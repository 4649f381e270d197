import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { revocationListLifeMs } from "@nexus-federation/node/transport/authority.ts";
import { expiresAtMs, readCredentials, secureContextOf } from "@nexus-federation/node/transport/credentials.ts";
import { PemConverter, X509Crl } from "@peculiar/x509";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Folder } from "./folder.ts";
import { Identities } from "./identities.ts";

const lifeMs = 90_000;
const start = Date.parse("2026-01-01T00:00:00Z");
let folder: Folder;
beforeEach(() => {
  folder = new Folder(mkdtempSync(join(tmpdir(), "nexus-identities-")));
  folder.create();
});
afterEach(() => rmSync(folder.root, { recursive: true, force: true }));
const open = (nowMs: number) => Identities.open(folder, "acme", { nowMs, lifeMs });

test("leaves are renewed when a third of their life is left, those of boxes and of the operator", async () => {
  const identities = await open(start);
  const box = await identities.box("a", start);
  const first = readCredentials(box);
  const operator = await identities.operator(start);

  await identities.renew(start + lifeMs / 2);
  expect(readCredentials(box)).toEqual(first);
  await identities.renew(start + 0.7 * lifeMs);

  const second = readCredentials(box);
  expect(second.certificate).not.toBe(first.certificate);
  expect(expiresAtMs(second)).toBe(start + 1.7 * lifeMs);
  expect(second.ca).toBe(first.ca);
  secureContextOf(second);
  expect((await identities.operator(start + 0.7 * lifeMs)).certificate).not.toBe(operator.certificate);
});

test("the revocation list is signed anew before it ends, kept, and given to every leaf", async () => {
  const identities = await open(start);
  const box = await identities.box("a", start);
  const { crl } = readCredentials(box);
  const late = start + revocationListLifeMs * 0.7;

  await identities.renew(late);

  const renewed = readCredentials(box).crl;
  expect(renewed).not.toBe(crl);
  const again = await open(late);
  await again.renew(late);
  expect(readCredentials(box).crl).toBe(renewed);
});

test("a certificate that is replaced is still good until it is revoked, and every box gets the list that says so", async () => {
  const identities = await open(start);
  const [a, b] = [await identities.box("a", start), await identities.box("b", start)];
  const [first, listBefore] = [readCredentials(a), readCredentials(b).crl];

  const former = await identities.reissue("a", start);

  expect(former).toBe(first.certificate);
  expect(readCredentials(a).certificate).not.toBe(first.certificate);
  expect(readCredentials(a).crl).toBe(listBefore);
  await identities.revokeFormer(start);
  expect(serialsOn(readCredentials(b).crl)).toEqual([serialOf(first.certificate)]);
  expect(readCredentials(a).crl).toBe(readCredentials(b).crl);
  await identities.forget("b", start);
  expect(existsSync(b)).toBe(false);
  expect(serialsOn(readCredentials(a).crl)).toHaveLength(2);
  await identities.forget("b", start);
  expect(await identities.reissue("nobody", start)).toBeUndefined();
});

test("files that a killed supervisor left half-written are made anew by the next one", async () => {
  const identities = await open(start);
  const [a, b, c] = [
    await identities.box("a", start),
    await identities.box("b", start),
    await identities.box("c", start),
  ];
  const first = readCredentials(c);
  writeFileSync(join(a, "tls.key"), first.key);
  writeFileSync(join(b, "tls.crt"), "-----BEGIN CERTIFICATE-----\n");
  rmSync(join(c, "tls.key"));

  const next = await open(start);
  for (const name of ["a", "b", "c"]) secureContextOf(readCredentials(await next.box(name, start)));

  expect(readCredentials(c).certificate).not.toBe(first.certificate);
});

test("certificates whose replacement was cut short are revoked in the end, all of them", async () => {
  const identities = await open(start);
  const box = await identities.box("a", start);
  const first = readCredentials(box);
  await identities.reissue("a", start);
  const second = readCredentials(box);

  const next = await open(start);
  await next.reissue("a", start);
  await next.revokeFormer(start);

  const revoked = [first, second].map(({ certificate }) => serialOf(certificate));
  expect(serialsOn(readCredentials(box).crl).sort()).toEqual(revoked.sort());
  const list = readCredentials(box).crl;
  await next.revokeFormer(start);
  expect(readCredentials(box).crl).toBe(list);
});

test("with a certificate those are revoked that were renewed before and have not ended, those of no other box", async () => {
  const identities = await open(start);
  const [a, b] = [await identities.box("a", start), await identities.box("b", start)];
  const issued: string[] = [];
  for (let atMs = start; atMs < start + 3 * lifeMs; atMs += 0.7 * lifeMs) {
    await identities.renew(atMs);
    issued.push(readCredentials(a).certificate);
  }
  const now = start + 3 * lifeMs;
  const others = readCredentials(b).certificate;

  await identities.reissue("a", now);
  await identities.revokeFormer(now);

  const taken = issued.filter((pem) => Date.parse(new X509Certificate(pem).validTo) > now);
  expect(taken).toHaveLength(2);
  expect(serialsOn(readCredentials(b).crl).sort()).toEqual(taken.map(serialOf).sort());
  expect(readCredentials(b).certificate).toBe(others);
});

const serialOf = (pem: string) => new X509Certificate(pem).serialNumber.toLowerCase();
const serialsOn = (pem: string | undefined) =>
  new X509Crl(PemConverter.decodeFirst(pem ?? "")).entries.map((entry) => entry.serialNumber.toLowerCase());

test("a folder of another federation is refused", async () => {
  await open(start);

  await expect(Identities.open(folder, "other", { nowMs: start })).rejects.toThrow("folder of federation acme");
  expect(existsSync(join(folder.authority, "ca.json"))).toBe(true);
});
