import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { AccessTable } from "../auth/checks.ts";
import type { ServiceAccount } from "../auth/service-accounts.ts";
import { isRefusal, type Refusal } from "../base/errors.ts";
import type { Caller } from "../box/api.ts";
import { TableAuthenticator } from "./authenticator.ts";
import { defaultServiceAccountLimits as limits, ServiceAccountAuthenticator } from "./service-account-authenticator.ts";

const account: ServiceAccount = {
  name: "system:serviceaccount:shop:app",
  groups: ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
};
const startMs = 1_000_000;

function tokenOf(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}
const good = tokenOf({ aud: ["nexus"], exp: 10_000_000 });

/** An API server that answers when told, and a clock that stands. */
class World {
  nowMs = startMs;
  account: ServiceAccount | undefined = account;
  away = false;
  questions = 0;
  readonly outcomes: string[] = [];
  /** While set, questions wait. */
  gate: Promise<void> | undefined;
  table: AccessTable = {
    federation: "acme",
    tokens: [
      {
        name: "ci",
        federation: "acme",
        sha256: createHash("sha256").update("static").digest(),
        grants: [{ prefix: "/", rights: ["read"] }],
      },
    ],
    users: [
      { name: "system:serviceaccounts:shop", grants: [{ prefix: "/shop", rights: ["read"] }] },
      { name: account.name, grants: [{ prefix: "/shop/app", rights: ["write"] }] },
      { name: "system:serviceaccount:other:app", grants: [{ prefix: "/", rights: ["admin"] }] },
    ],
  };
  readonly authenticator: ServiceAccountAuthenticator;

  constructor(given: Partial<typeof limits> = {}) {
    const table = new TableAuthenticator(
      () => this.table,
      () => this.nowMs,
    );
    const review = async () => {
      this.questions++;
      await this.gate;
      if (this.away) throw new Error("connect ECONNREFUSED");
      return this.account;
    };
    const needs = {
      table,
      reviews: { review },
      wallMs: () => this.nowMs,
      asked: (outcome: string) => void this.outcomes.push(outcome),
    };
    this.authenticator = new ServiceAccountAuthenticator(needs, "nexus", { ...limits, ...given });
  }

  async comes(bearer: string | undefined): Promise<Caller> {
    const caller = await this.authenticator.authenticate(bearer, undefined);
    if (isRefusal(caller)) throw new Error(`${caller.code}: ${caller.message}`);
    return caller;
  }
  async refused(bearer: string): Promise<Refusal> {
    const caller = await this.authenticator.authenticate(bearer, undefined);
    if (!isRefusal(caller)) throw new Error(`${caller.principal} came in`);
    return caller;
  }
}

describe("a service account token", () => {
  test("gives the account's name with the rights of its entries and of its namespace's", async () => {
    const caller = await new World().comes(good);

    expect(caller.principal).toBe("system:serviceaccount:shop:app");
    expect(caller.check("read", "/shop/x")).toBeUndefined();
    expect(caller.check("write", "/shop/app/x")).toBeUndefined();
    expect(caller.check("write", "/shop/x")?.message).toContain("has no write right on /shop/x");
    expect(caller.check("admin", "/")?.code).toBe("DENIED");
  });

  test("has other rights as soon as the table says so, on an open connection too", async () => {
    const world = new World();
    const caller = await world.comes(good);

    world.table = { ...world.table, users: [] };

    expect(caller.check("read", "/shop/x")?.code).toBe("DENIED");
  });

  test("for another audience is refused with a sentence, and the API server never sees it", async () => {
    const world = new World();

    const refusal = await world.refused(tokenOf({ aud: ["https://kubernetes.default.svc"], exp: 10_000_000 }));

    expect(refusal.code).toBe("UNAUTHENTICATED");
    expect(refusal.message).toBe(
      "the service account token is for audience https://kubernetes.default.svc, not nexus: make one with kubectl create token NAME --audience=nexus",
    );
    expect(world.questions).toBe(0);
  });

  test.each([
    ["that has expired", tokenOf({ aud: "nexus", exp: startMs / 1000 }), "has expired"],
    ["without an audience", tokenOf({ exp: 10_000_000 }), "nobody in particular"],
    ["that is none", "a.b.c", "the bearer token is not known"],
    ["in a form of its own", "hello", "the bearer token is not known"],
  ])("%s is refused unasked", async (_what, token, reason) => {
    const world = new World();

    expect((await world.refused(token)).message).toContain(reason);
    expect(world.questions).toBe(0);
  });

  test("of a user who is no service account is refused", async () => {
    const world = new World();
    world.account = { name: "system:admin", groups: ["system:masters"] };

    expect((await world.refused(good)).message).toContain("system:admin's, which is no service account");
  });

  test("a token of the table and no token at all are the table's matter", async () => {
    const world = new World();

    expect((await world.comes("static")).principal).toBe("token:ci");
    await expect(world.comes(undefined)).rejects.toThrow("neither a bearer token nor a client certificate");
    expect(world.questions).toBe(0);
  });
});

describe("an answer of the API server", () => {
  test("counts for a while, and many connections at once ask one question", async () => {
    const world = new World();
    const many = await Promise.all(Array.from({ length: 20 }, () => world.comes(good)));
    world.nowMs += limits.acceptedMs / 2 - 1;
    await world.comes(good);

    expect(many).toHaveLength(20);
    expect(world.questions).toBe(1);
  });

  test("is asked for again before it ends, without anybody waiting", async () => {
    const world = new World();
    await world.comes(good);
    world.nowMs += limits.acceptedMs / 2;
    world.gate = new Promise(() => {});

    await world.comes(good);

    expect(world.questions).toBe(2);
  });

  test("an API server that is away lets nobody in who is not known, and those only until their time is over", async () => {
    const world = new World();
    const caller = await world.comes(good);
    world.away = true;
    const stranger = tokenOf({ aud: ["nexus"], exp: 10_000_000, sub: "other" });

    expect(await world.refused(stranger)).toMatchObject({ code: "ZONE_UNAVAILABLE", retryAfterMs: 1_000 });
    expect((await world.refused(stranger)).message).toContain("cannot ask the API server about the token");
    world.nowMs += limits.acceptedMs - 1;
    expect((await world.comes(good)).principal).toBe(account.name);
    expect(await caller.renewal?.()).toBeUndefined();
    world.nowMs += 1;
    expect((await world.refused(good)).code).toBe("ZONE_UNAVAILABLE");
    expect(await caller.renewal?.()).toMatchObject({ code: "ZONE_UNAVAILABLE" });

    world.away = false;
    expect(await caller.renewal?.()).toBeUndefined();
    expect(world.outcomes.at(-1)).toBe("accepted");
  });

  test("ends with the token itself", async () => {
    const world = new World();
    const token = tokenOf({ aud: ["nexus"], exp: (startMs + 5_000) / 1000 });
    const caller = await world.comes(token);
    world.nowMs += 5_000;

    expect(await caller.renewal?.()).toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("a deleted account is out when its time is over, on an open connection too", async () => {
    const world = new World();
    const caller = await world.comes(good);
    world.account = undefined;
    world.nowMs += limits.acceptedMs;

    expect(await caller.renewal?.()).toMatchObject({ code: "UNAUTHENTICATED" });
    expect((await world.refused(good)).message).toContain("does not know the service account token");
    expect(world.questions).toBe(2);
    world.nowMs += limits.refusedMs;
    await world.refused(good);
    expect(world.questions).toBe(3);
  });
});

describe("limits", () => {
  const other = (n: number) => tokenOf({ aud: ["nexus"], exp: 10_000_000, n });

  test("guessed tokens push no known one out", async () => {
    const world = new World({ refusedMax: 2, acceptedMax: 2 });
    await world.comes(good);
    world.account = undefined;
    for (let n = 0; n < 5; n++) await world.refused(other(n));

    expect((await world.comes(good)).principal).toBe(account.name);
    expect(world.questions).toBe(6);
    await world.refused(other(4));
    expect(world.questions).toBe(6);
    await world.refused(other(0));
    expect(world.questions).toBe(7);
  });

  test("of known tokens the oldest is forgotten, and asked about again", async () => {
    const world = new World({ acceptedMax: 1 });
    await world.comes(good);
    await world.comes(other(1));
    await world.comes(good);

    expect(world.questions).toBe(3);
  });

  test("more questions than fit are told to come again", async () => {
    const world = new World({ askingMax: 1 });
    const { promise, resolve } = Promise.withResolvers<void>();
    world.gate = promise;
    const first = world.comes(good);

    expect(await world.refused(other(1))).toMatchObject({ code: "OVERLOADED", retryAfterMs: 1_000 });

    resolve();
    expect((await first).principal).toBe(account.name);
  });
});
