import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { stillClock } from "../base/testing/still-clock.ts";
import { Authority } from "./authority.ts";
import {
  expiresAtMs,
  identityOfCertificate,
  readCredentials,
  secureContextOf,
  writeCredentials,
} from "./credentials.ts";
import { WatchedCredentials } from "./credentials-watch.ts";

const nowMs = Date.now();
const folder = mkdtempSync(join(tmpdir(), "nexus-ca-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("an authority that was saved and loaded issues for the same federation and keeps its revocations", async () => {
  const authority = await Authority.create("acme", nowMs);
  const bad = await authority.issue({ kind: "box", id: "bad" }, { nowMs });
  await authority.revoke(bad.certificate, nowMs);
  expect(Authority.exists(join(folder, "ca"))).toBe(false);

  await authority.save(join(folder, "ca"));
  const loaded = await Authority.load(join(folder, "ca"));
  const leaf = await loaded.issue({ kind: "operator", id: "o1" }, { nowMs });

  expect(Authority.exists(join(folder, "ca"))).toBe(true);
  expect(identityOfCertificate(new X509Certificate(leaf.certificate).subjectAltName)).toEqual({
    federation: "acme",
    kind: "operator",
    id: "o1",
  });
  expect(leaf.ca).toBe(authority.certificatePem);
  expect(leaf.crl).toBe(authority.crlPem);
  await loaded.renewList(nowMs + 1000);
  expect(loaded.crlPem.length).toBeGreaterThan(authority.crlPem.length - 8);
  secureContextOf({ ...leaf, crl: loaded.crlPem });
});

test("keys and certificates are readable by their owner alone", async () => {
  const authority = await Authority.create("acme", nowMs);
  const leaf = await authority.issue({ kind: "box", id: "a" }, { nowMs });

  await authority.save(join(folder, "private"));
  writeCredentials(join(folder, "leaf"), leaf);

  for (const name of [
    "private/ca.key",
    "private/ca.crt",
    "private/ca.json",
    "leaf/tls.key",
    "leaf/tls.crt",
    "leaf/ca.crl",
  ]) {
    expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
  }
  expect(statSync(join(folder, "leaf")).mode & 0o777).toBe(0o700);
  expect(readCredentials(join(folder, "leaf"))).toEqual(leaf);
});

test("a leaf lives 90 days unless told otherwise", async () => {
  const authority = await Authority.create("acme", nowMs);

  const leaf = await authority.issue({ kind: "box", id: "a" }, { nowMs });

  expect(Math.round((expiresAtMs(leaf) - nowMs) / 86_400_000)).toBe(90);
});

test("what was issued a moment ago holds for a host whose clock is an hour behind: leaf, authority and revocation list", async () => {
  const authority = await Authority.create("acme", nowMs);
  const leaf = await authority.issue({ kind: "box", id: "a" }, { nowMs });
  const anHourAgo = nowMs - 3_600_000;

  for (const certificate of [leaf.certificate, authority.certificatePem]) {
    expect(Date.parse(new X509Certificate(certificate).validFrom)).toBeLessThan(anHourAgo);
  }
  // Only after what it needs, which the authority has loaded.
  const { X509Crl } = await import("@peculiar/x509");
  expect(new X509Crl(authority.crlPem).thisUpdate.getTime()).toBeLessThan(anHourAgo);
});

test("a certificate with two identities, a quoted name or none proves nothing", () => {
  expect(identityOfCertificate("URI:spiffe://acme/box/a, DNS:localhost")?.id).toBe("a");
  expect(identityOfCertificate("URI:spiffe://acme/box/a, URI:spiffe://acme/box/b")).toBeUndefined();
  expect(identityOfCertificate('DNS:"x, URI:spiffe://acme/box/a"')).toBeUndefined();
  expect(identityOfCertificate('DNS:"x", URI:spiffe://acme/box/a')).toBeUndefined();
  expect(identityOfCertificate("DNS:localhost")).toBeUndefined();
  expect(identityOfCertificate(undefined)).toBeUndefined();
});

test("renewed files are taken up, half-written ones are not", async () => {
  const authority = await Authority.create("acme", nowMs);
  const path = join(folder, "watched");
  writeCredentials(path, await authority.issue({ kind: "box", id: "a" }, { nowMs }));
  const events: string[] = [];
  const told = { changed: () => events.push("changed"), failed: (reason: string) => events.push(reason) };
  const watched = new WatchedCredentials(stillClock, path, told as never);
  const first = watched.current;

  watched.look();
  expect(watched.current).toBe(first);
  writeFileSync(join(path, "tls.key"), "-----BEGIN PRIVATE KEY-----\n");
  watched.look();
  expect(watched.current).toBe(first);
  const next = await authority.issue({ kind: "box", id: "a" }, { nowMs });
  writeCredentials(path, next);
  watched.look();

  expect(watched.current).toEqual(next);
  expect(events).toEqual(["ca, certificate, key and revocation list must be PEM and belong together", "changed"]);
});

test("missing files are named", () => {
  expect(() => readCredentials(join(folder, "nowhere"))).toThrow("ca.crt cannot be read");
});
