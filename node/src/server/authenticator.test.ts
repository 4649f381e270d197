import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { AccessTable } from "../auth/checks.ts";
import { isRefusal } from "../base/errors.ts";
import { TableAuthenticator } from "./authenticator.ts";

const sha256 = createHash("sha256").update("secret").digest();

function tableOf(prefix: string, expiresAtMs?: number): AccessTable {
  const grants = [{ prefix, rights: ["write" as const] }];
  const token = {
    name: "ci",
    federation: "acme",
    sha256,
    grants,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
  return { federation: "acme", tokens: [token], users: [] };
}

/** A caller that came in under `first`, and what it meets from then on. */
function cameIn(first: AccessTable) {
  const world = { table: first, wallMs: 1_000 };
  const authenticator = new TableAuthenticator(
    () => world.table,
    () => world.wallMs,
  );
  const caller = authenticator.authenticate("secret", undefined);
  if (isRefusal(caller)) throw new Error(caller.message);
  return { world, caller };
}

test("a token that was taken out of the table lets nobody in on an open connection", async () => {
  const { world, caller } = cameIn(tableOf("/a"));
  expect(await caller.renewal?.()).toBeUndefined();

  world.table = { federation: "acme", tokens: [], users: [] };

  expect(await caller.renewal?.()).toMatchObject({ code: "UNAUTHENTICATED" });
  expect(caller.check("write", "/a/x")).toMatchObject({ code: "UNAUTHENTICATED" });
});

test("a token's rights are those of the table now", async () => {
  const { world, caller } = cameIn(tableOf("/a"));
  world.table = tableOf("/b");

  expect(await caller.renewal?.()).toBeUndefined();

  expect(caller.check("write", "/a/x")).toMatchObject({ code: "DENIED" });
  expect(caller.check("write", "/b/x")).toBeUndefined();
});

test("a token that ends while its connection is open is refused from then on", async () => {
  const { world, caller } = cameIn(tableOf("/a", 60_000));
  world.wallMs = 60_000;

  expect(await caller.renewal?.()).toMatchObject({ code: "UNAUTHENTICATED" });
});
