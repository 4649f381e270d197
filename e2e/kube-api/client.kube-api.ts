// The raw client against a real API server, through a proxy of faults.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { Applier } from "@nexus-federation/operator/runtime/applier.ts";
import { RawClient } from "@nexus-federation/operator/runtime/client.ts";
import { Connection } from "@nexus-federation/operator/runtime/connection.ts";
import { deleteIf } from "@nexus-federation/operator/runtime/destructive.ts";
import { noFailpoints } from "@nexus-federation/operator/runtime/failpoints.ts";
import { addFinalizer, hasFinalizer, removeFinalizer } from "@nexus-federation/operator/runtime/finalizers.ts";
import { KubeError, type KubeErrorCode } from "@nexus-federation/operator/runtime/kube-error.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { ownTypes, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  configMap,
  controlPlane,
  eventually,
  installCrds,
  mapType,
  newNamespace,
  restart,
  side,
  thePlane,
} from "./harness/api.ts";
import { FaultProxy } from "./harness/fault-proxy.ts";

describe.skipIf(!controlPlane)("the raw client", () => {
  let proxy: FaultProxy;
  let near: ReturnType<typeof side>;
  let namespace = "";

  beforeAll(async () => {
    proxy = await FaultProxy.start();
    near = side(proxy);
    namespace = await newNamespace(near.client);
    await installCrds(near.client);
  });
  afterEach(() => proxy.heal());
  afterAll(async () => {
    near?.connection.close();
    await proxy?.stop();
  });

  async function errorOf(work: Promise<unknown>): Promise<KubeError> {
    try {
      await work;
    } catch (error) {
      if (error instanceof KubeError) return error;
      throw error;
    }
    throw new Error("the call succeeded");
  }
  const codeOf = async (work: Promise<unknown>): Promise<KubeErrorCode> => (await errorOf(work)).code;
  const stored = (name: string) => near.client.get(mapType, { namespace, name });

  test("creates, reads, replaces and deletes, with a code for each refusal", async () => {
    const { client } = near;
    const made = await client.create(mapType, configMap(namespace, "life", { a: "1" }));
    const name = { namespace, name: "life" };

    expect(await codeOf(client.create(mapType, configMap(namespace, "life")))).toBe("ALREADY_EXISTS");
    const replaced = await client.replace(mapType, { ...made, data: { a: "2" } });
    expect(await codeOf(client.replace(mapType, { ...made, data: { a: "3" } }))).toBe("CONFLICT");
    expect((await stored("life"))?.["data"]).toEqual({ a: "2" });
    expect(await codeOf(client.delete(mapType, name, { uid: "another" }))).toBe("CONFLICT");
    const { uid = "", resourceVersion } = made.metadata;
    expect(await codeOf(client.delete(mapType, name, { uid, resourceVersion }))).toBe("CONFLICT");
    expect(await client.delete(mapType, name, { uid, resourceVersion: replaced.metadata.resourceVersion })).toBe(true);
    expect(await client.delete(mapType, name, { uid })).toBe(false);
    expect(await stored("life")).toBeUndefined();
  });

  test("a misspelt field is INVALID in every kind of write", async () => {
    const { client } = near;
    const zone = (spec: object) => ({
      apiVersion: "federation.nexus.io/v1alpha1",
      kind: "ConsensusZone",
      metadata: { namespace, name: "typo" },
      spec: { pathPattern: "/a/**", mode: "strong", authorityBox: "a", ...spec },
    });
    const made = await client.create(ownTypes.ConsensusZone, zone({}));

    expect(await codeOf(client.create(ownTypes.ConsensusZone, zone({ mod: 1 })))).toBe("INVALID");
    expect(await codeOf(client.replace(ownTypes.ConsensusZone, { ...made, spec: zone({ mod: 1 }).spec }))).toBe(
      "INVALID",
    );
    expect(await codeOf(client.apply(ownTypes.ConsensusZone, zone({ mod: 1 })))).toBe("INVALID");
    const name = { namespace, name: "typo" };
    expect(await codeOf(client.patch(ownTypes.ConsensusZone, name, { spec: { mod: 1 } }))).toBe("INVALID");
    const podTypo = { ...configMap(namespace, "typo"), dta: {} };
    expect(await codeOf(client.apply(mapType, podTypo))).toBe("INVALID");
  });

  test("apply creates, changes only what it says, takes back what it no longer says, and never revives by uid", async () => {
    const { client } = near;
    const first = await client.apply(mapType, configMap(namespace, "applied", { ours: "1", gone: "1" }));
    await client.patch(mapType, { namespace, name: "applied" }, { data: { theirs: "1" } });
    const second = await client.apply(mapType, configMap(namespace, "applied", { ours: "2" }));
    const { uid = "" } = first.metadata;
    const guarded = { ...configMap(namespace, "applied", { ours: "3" }) };
    guarded.metadata = { ...guarded.metadata, uid };

    expect(second["data"]).toMatchObject({ ours: "2" });
    expect(second["data"]).not.toHaveProperty("gone");
    const third = await client.apply(mapType, guarded);
    expect(third["data"]).toMatchObject({ ours: "3" });
    await client.delete(mapType, { namespace, name: "applied" }, { uid });
    expect(await codeOf(client.apply(mapType, guarded))).toBe("CONFLICT");
    expect(await stored("applied")).toBeUndefined();
  });

  test("an apply that would change nothing is not sent, also where the server spells values otherwise", async () => {
    const { client, metrics } = near;
    const applier = new Applier({ client, metrics });
    const type = resourceTypes.persistentVolumeClaim;
    const claim = (storage: string): KubeObject => ({
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { namespace, name: "volume", labels: { app: "x" } },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } } },
    });
    const { object } = await applier.apply(type, claim("1024Mi"), undefined);
    const before = proxy.calls.length;

    const again = await applier.apply(type, claim("1024Mi"), object);
    expect([again.changed, proxy.calls.length - before]).toEqual([false, 0]);
    const drifted = await client.patch(type, { namespace, name: "volume" }, { metadata: { labels: { app: "y" } } });
    const mended = await applier.apply(type, claim("1024Mi"), drifted);
    expect([mended.changed, mended.object.metadata.labels]).toEqual([true, { app: "x" }]);
    const noted = await client.patch(
      type,
      { namespace, name: "volume" },
      { metadata: { annotations: { other: "1" } } },
    );
    expect((await applier.apply(type, claim("1024Mi"), noted)).object).toBe(noted);
  });

  test("a list of several pages is one snapshot, and starts over when its snapshot expires", async () => {
    const { client } = near;
    const own = await newNamespace(client);
    const names = Array.from({ length: 1_010 }, (_, index) => `m${index}`);
    for (let from = 0; from < names.length; from += 50)
      await Promise.all(names.slice(from, from + 50).map((name) => client.create(mapType, configMap(own, name))));
    proxy.plan({ kind: "answer", status: 410, reason: "Expired" }, { path: /continue=/ });

    const listed = await client.list(mapType, { namespace: own });

    const found = listed.items.map((item) => item.metadata.name).filter((name) => name.startsWith("m"));
    expect(found.sort()).toEqual(names.sort());
    expect(listed.items[0]).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
  });

  test("waits for Retry-After within the deadline, and not beyond", async () => {
    const { client } = near;
    const busy = { kind: "answer", status: 429, reason: "TooManyRequests", retryAfterSeconds: 1 } as const;
    proxy.plan(busy, { method: "POST" });
    const startedMs = performance.now();
    await client.create(mapType, configMap(namespace, "patient"));
    const waitedMs = performance.now() - startedMs;

    expect(waitedMs).toBeGreaterThanOrEqual(990);
    proxy.plan({ ...busy, retryAfterSeconds: 60 }, { method: "GET" });
    const error = await errorOf(stored("patient"));
    expect([error.code, error.retryAfterMs]).toEqual(["TOO_MANY_REQUESTS", 60_000]);
    proxy.plan(
      { kind: "answer", status: 503, reason: "ServiceUnavailable", retryAfterSeconds: 0 },
      { method: "GET", times: 2 },
    );
    expect((await stored("patient"))?.metadata.name).toBe("patient");
  });

  test("500, 409, reset, garbage and silence each have their code, and nothing is sent twice", async () => {
    const { client } = near;
    const create = (name: string, deadlineMs = 30_000) =>
      client.create(mapType, configMap(namespace, name), { deadlineMs });

    proxy.plan({ kind: "answer", status: 500, reason: "InternalError" }, { method: "POST" });
    expect(await codeOf(create("f1"))).toBe("SERVER");
    proxy.plan({ kind: "answer", status: 409, reason: "Conflict" }, { method: "POST" });
    expect(await codeOf(create("f2"))).toBe("CONFLICT");
    proxy.plan({ kind: "reset" }, { method: "POST" });
    expect(await codeOf(create("f3"))).toBe("NETWORK");
    proxy.plan({ kind: "garble" }, { method: "POST" });
    expect(await codeOf(create("f4"))).toBe("GARBLED");
    proxy.plan({ kind: "stall" }, { method: "POST" });
    expect(await codeOf(create("f5", 300))).toBe("DEADLINE");
    proxy.plan({ kind: "lost-answer" }, { method: "POST" });
    expect(await codeOf(create("f6"))).toBe("NETWORK");
    expect(await stored("f5")).toBeUndefined();
    expect((await stored("f6"))?.metadata.name).toBe("f6");
  });

  test("a signal ends a call that is under way, and a bound client makes no other", async () => {
    const controller = new AbortController();
    const bound = near.client.bound(controller.signal);
    proxy.plan({ kind: "stall" }, { method: "GET" });
    const before = proxy.calls.length;
    const work = codeOf(bound.get(mapType, { namespace, name: "x" }));
    await eventually("the call arrived", () => proxy.calls.length > before);

    controller.abort(new Error("no longer the leader"));

    expect(await work).toBe("ABORTED");
    const after = proxy.calls.length;
    expect(await codeOf(bound.create(mapType, configMap(namespace, "late")))).toBe("ABORTED");
    expect(proxy.calls.length).toBe(after);
  });

  test("survives a restart of the API server and of etcd without being made anew", async () => {
    for (const what of ["apiserver", "etcd"] as const) {
      await restart(what);
      const made = await eventually(`a write after the restart of ${what}`, () =>
        near.client.create(mapType, configMap(namespace, `after-${what}`)).catch((error: unknown) => {
          if (error instanceof KubeError && ["NETWORK", "SERVER", "FORBIDDEN"].includes(error.code)) return undefined;
          throw error;
        }),
      );
      expect(made.metadata.uid).toBeTruthy();
    }
  });

  test("a token that is rotated in its file is used after one refusal", async () => {
    const file = join(tmpdir(), `nexus-token-${process.pid}`);
    const config = new KubeConfig();
    config.loadFromFile(thePlane().kubeconfig);
    const good = config.getCurrentUser()?.token ?? "";
    writeFileSync(file, "an expired token");
    const load = () => {
      const own = new KubeConfig();
      own.loadFromFile(thePlane().kubeconfig);
      const name = own.getCurrentUser()?.name ?? "";
      own.users = [{ name, authProvider: { name: "tokenFile", config: { tokenFile: file } } }];
      return own;
    };
    const { clock, metrics } = near;
    const connection = new Connection(load, clock);
    const client = new RawClient({ connection, clock, metrics, failpoints: noFailpoints });

    expect(await codeOf(client.get(mapType, { namespace, name: "x" }))).toBe("UNAUTHENTICATED");
    writeFileSync(file, `${good}\n`);
    expect(await client.get(mapType, { namespace, name: "x" })).toBeUndefined();
    connection.close();
  });

  test("finalizers go on and off guarded, and a deletion waits for them", async () => {
    const { client } = near;
    const finalizer = "federation.nexus.io/box";
    const made = await client.create(mapType, configMap(namespace, "held"));
    const held = await addFinalizer(client, { type: mapType, object: made, finalizer });

    expect(hasFinalizer(held, finalizer)).toBe(true);
    expect(await codeOf(addFinalizer(client, { type: mapType, object: made, finalizer }))).toBe("CONFLICT");
    await client.delete(mapType, made.metadata, { uid: made.metadata.uid ?? "" });
    const leaving = await stored("held");
    expect(leaving?.metadata.deletionTimestamp).toBeTruthy();
    expect(await addFinalizer(client, { type: mapType, object: leaving!, finalizer: "a/b" })).toBe(leaving);
    await removeFinalizer(client, { type: mapType, object: leaving!, finalizer });
    expect(await stored("held")).toBeUndefined();
    await removeFinalizer(client, { type: mapType, object: leaving!, finalizer });
  });

  test("nothing is deleted on an old view", async () => {
    const { client } = near;
    const seen = await client.create(mapType, configMap(namespace, "stale", { state: "broken" }));
    const still = (live: KubeObject) => (live["data"] as { state: string }).state === "broken";
    await client.patch(mapType, { namespace, name: "stale" }, { data: { state: "mended" } });

    expect(await deleteIf(client, { type: mapType, seen, still })).toBe("changed");
    await client.patch(mapType, { namespace, name: "stale" }, { data: { state: "broken" } });
    // Between the look and the deletion somebody mends it: the revision no longer fits.
    proxy.plan({ kind: "answer", status: 409, reason: "Conflict" }, { method: "DELETE" });
    expect(await deleteIf(client, { type: mapType, seen, still })).toBe("changed");
    expect(await deleteIf(client, { type: mapType, seen, still })).toBe("deleted");
    expect(await deleteIf(client, { type: mapType, seen, still })).toBe("gone");
    await client.create(mapType, configMap(namespace, "stale", { state: "broken" }));
    expect(await deleteIf(client, { type: mapType, seen, still })).toBe("changed");
  });
});
