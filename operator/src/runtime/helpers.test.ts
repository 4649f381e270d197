// The small parts: conditions, failpoints, names, errors, lines of a watch.

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { VirtualClock } from "@nexus-federation/node/group/testing/virtual-clock.ts";
import { expect, test } from "vitest";
import { readAnswer } from "./answers.ts";
import type { KubeClient } from "./api.ts";
import { Applier } from "./applier.ts";
import { mergeConditions } from "./conditions.ts";
import { EventRecorder } from "./events.ts";
import { Failpoints } from "./failpoints.ts";
import { KubeError } from "./kube-error.ts";
import { linkSignals } from "./linked-signal.ts";
import { compareVersions, type KubeObject } from "./objects.ts";
import { ownTypes, pathOf, resourceTypes } from "./resource-types.ts";
import { needs, object, pass } from "./testing/needs.ts";
import { readWatch } from "./watch-stream.ts";

test("a condition keeps its time until its status changes", () => {
  const ready = { type: "Ready", status: "False", reason: "Waiting", message: "for a member" } as const;
  const first = mergeConditions(undefined, [ready], { wallMs: 0, generation: 1 });
  const second = mergeConditions(first, [{ ...ready, message: "for two" }], { wallMs: 60_000, generation: 2 });
  const third = mergeConditions(second, [{ ...ready, status: "True" }], { wallMs: 60_000, generation: 2 });

  expect(second).toEqual([
    { ...ready, message: "for two", lastTransitionTime: "1970-01-01T00:00:00Z", observedGeneration: 2 },
  ]);
  expect(third[0]!.lastTransitionTime).toBe("1970-01-01T00:01:00Z");
  const long = mergeConditions(third, [{ ...ready, message: "x".repeat(5_000) }], { wallMs: 0, generation: 3 });
  expect(long[0]!.message.length).toBe(4_096);
});

test("a failpoint crashes at the chosen passage and nowhere else", () => {
  const crashes: string[] = [];
  const points = new Failpoints("after-write:3", () => crashes.push("crash"));
  for (let i = 0; i < 5; i++) {
    points.pass("before-write");
    points.pass("after-write");
    if (i === 1) expect(crashes).toEqual([]);
  }

  expect(crashes).toEqual(["crash"]);
  expect(() => new Failpoints("Nonsense:0", () => {})).toThrow("NEXUS_FAILPOINT is NAME or NAME:HIT");
});

test("paths, keys and revisions", () => {
  expect(pathOf(resourceTypes.pod, { namespace: "ns", name: "a", subresource: "eviction" })).toBe(
    "/api/v1/namespaces/ns/pods/a/eviction",
  );
  expect(pathOf(resourceTypes.node, { namespace: "ignored", name: "n" })).toBe("/api/v1/nodes/n");
  expect(pathOf(ownTypes.Box)).toBe("/apis/federation.nexus.io/v1alpha1/boxes");
  expect(["9", "10", "100", "10"].sort(compareVersions)).toEqual(["9", "10", "10", "100"]);
});

test.each([
  [409, { reason: "AlreadyExists" }, "ALREADY_EXISTS"],
  [409, { reason: "Conflict" }, "CONFLICT"],
  [410, { reason: "Expired" }, "GONE"],
  [422, { reason: "Invalid" }, "INVALID"],
  [400, {}, "INVALID"],
  [500, { message: "failed to create typed patch object (ns/a): .spec.x: field not declared in schema" }, "INVALID"],
  [500, { reason: "InternalError" }, "SERVER"],
  [403, {}, "FORBIDDEN"],
  [302, {}, "GARBLED"],
] as const)("HTTP %i %j is %s", (status, of, code) => {
  const body = JSON.stringify({ kind: "Status", ...of });
  const read = () => readAnswer({ status, headers: { "retry-after": "7" }, body }, "GET /x");

  expect(read).toThrow(expect.objectContaining({ code, status, retryAfterMs: 7_000 }));
});

test("lines of a watch are found whatever the pieces, and an error event ends it with its code", async () => {
  const event = (type: string, of: object) => `${JSON.stringify({ type, object: of })}\n`;
  const text = event("ADDED", object("ä", 1)) + event("BOOKMARK", object("", 2)) + event("ERROR", { code: 410 });
  const bytes = Buffer.from(text);
  for (const size of [1, 7, 1_000]) {
    const pieces: Buffer[] = [];
    for (let from = 0; from < bytes.length; from += size) pieces.push(bytes.subarray(from, from + size));
    const message = Object.assign(Readable.from(pieces), { statusCode: 200, headers: {} });
    const seen: string[] = [];
    const reading = async () => {
      for await (const each of readWatch(message as unknown as IncomingMessage, "watch"))
        seen.push(`${each.type} ${each.object.metadata.name}`);
    };

    await expect(reading()).rejects.toMatchObject({ code: "GONE" });
    expect(seen).toEqual(["ADDED ä", "BOOKMARK "]);
  }
});

test("linked signals abort with the first, and let go of the others", () => {
  const [a, b] = [new AbortController(), new AbortController()];
  const { signal, unlink } = linkSignals([a.signal, undefined, b.signal]);
  b.abort("why");
  expect([signal?.aborted, signal?.reason]).toEqual([true, "why"]);
  unlink();
  expect(linkSignals([a.signal, b.signal]).signal?.aborted).toBe(true);
  expect(linkSignals([undefined]).signal).toBeUndefined();
});

test("an apply is left out exactly while wish and result are as they were", async () => {
  let writes = 0;
  let version = 1;
  const spelt = (v: string) => (v === "1024Mi" ? "1Gi" : v);
  const client = {
    apply: (_type: unknown, intent: KubeObject) => {
      writes++;
      return Promise.resolve(
        object(intent.metadata.name, ++version, { v: spelt((intent["data"] as { v: string }).v) }),
      );
    },
  };
  const applier = new Applier({ ...needs(new VirtualClock()), client: client as unknown as KubeClient });
  const intent = (v: string): KubeObject => ({ ...object("a", 0, { v }), metadata: { namespace: "ns", name: "a" } });
  const type = resourceTypes.configMap;
  const first = await applier.apply(type, intent("1024Mi"), undefined);
  const again = await applier.apply(type, intent("1024Mi"), first.object);
  expect([writes, again.changed]).toEqual([1, false]);
  await applier.apply(type, intent("1024Mi"), object("a", 9, { v: "2Gi" }));
  expect(writes).toBe(2);
  await applier.apply(type, intent("1024Mi"), object("a", 9, { v: "1Gi", uid: "another" }));
  expect(writes).toBe(3);
  await applier.apply(type, intent("3Gi"), object("a", 9, { v: "1Gi" }));
  expect(writes).toBe(4);
});

test("events: repeats are counted, different ones about one object are bounded, a refusal is swallowed", async () => {
  const clock = new VirtualClock();
  const written: string[] = [];
  const client = {
    create: (_type: unknown, event: KubeObject) => {
      written.push(`create ${event["reason"]}`);
      return event["reason"] === "Refused" ? Promise.reject(new KubeError("FORBIDDEN", "no")) : Promise.resolve(event);
    },
    patch: (_type: unknown, _name: unknown, patch: { series: { count: number } }) => {
      written.push(`count ${patch.series.count}`);
      return Promise.resolve(object("e", 1));
    },
  };
  const recorder = new EventRecorder("me", { ...needs(clock), client: client as never });
  const note = (reason: string, message = "") => ({ type: "Normal", reason, action: "Act", message }) as const;
  recorder.record(object("a", 1), note("Refused"));
  for (let i = 0; i < 5; i++) recorder.record(object("a", 1), note("Same"));
  await pass(clock, 30_000);
  recorder.record(object("a", 1), note("Same"));
  await pass(clock, 1);
  expect(written).toEqual(["create Refused", "create Same", "count 6"]);
  for (let i = 0; i < 100; i++) recorder.record(object("b", 1), note("Storm", String(i)));
  for (let i = 0; i < 5; i++) await pass(clock, 1);
  expect(written.length).toBe(3 + 25);
});
