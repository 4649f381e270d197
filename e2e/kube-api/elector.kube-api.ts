// Leader election through a real API server, each candidate behind a proxy of faults of its own. Times are a fifth of
// those in production; what must hold is the order of things, not their speed.
import type { Leadership } from "@nexus-federation/operator/runtime/api.ts";
import { type ElectorSettings, LeaderElector } from "@nexus-federation/operator/runtime/leader-elector.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { controlPlane, eventually, newNamespace, restart, side } from "./harness/api.ts";
import { FaultProxy } from "./harness/fault-proxy.ts";

const settings = { leaseMs: 3_000, renewMs: 2_000, retryMs: 400, callMs: 1_000 };

interface Candidate {
  name: string;
  proxy: FaultProxy;
  elector: LeaderElector;
  terms: Leadership[];
  /** How work in hand ends after its signal; at once unless the test says otherwise. */
  ending: Promise<void>;
  close(): Promise<void>;
}

describe.skipIf(!controlPlane)("the elector", () => {
  let direct: ReturnType<typeof side>;
  let namespace = "";
  let all: Candidate[] = [];
  /** Sentences about two leaders at once. */
  let faults: string[] = [];

  beforeAll(() => {
    direct = side();
  });
  beforeEach(async () => {
    namespace = await newNamespace(direct.client);
    all = [];
    faults = [];
  });
  afterEach(async () => {
    for (const { proxy } of all) proxy.heal();
    for (const candidate of all) await candidate.close();
    expect(faults).toEqual([]);
  });
  afterAll(() => direct?.connection.close());

  async function candidate(name: string, more: Partial<ElectorSettings> = {}): Promise<Candidate> {
    const proxy = await FaultProxy.start();
    const near = side(proxy);
    const terms: Leadership[] = [];
    const work = {
      lead(leadership: Leadership) {
        for (const other of all)
          if (other.terms.some((term) => !term.signal.aborted)) faults.push(`${name} leads while ${other.name} works`);
        terms.push(leadership);
      },
      ended: () => made.ending,
    };
    const lease = { namespace, name: "nexus" };
    const elector = new LeaderElector({ lease, identity: name, work, settings: { ...settings, ...more } }, near);
    const made: Candidate = {
      name,
      proxy,
      elector,
      terms,
      ending: Promise.resolve(),
      async close() {
        await elector.stop();
        near.connection.close();
        await proxy.stop();
      },
    };
    all.push(made);
    return made;
  }
  const leader = () => all.find(({ elector }) => elector.isLeader);
  const lease = () =>
    direct.client.get<KubeObject<Record<string, unknown>>>(resourceTypes.lease, { namespace, name: "nexus" });

  test("one of two leads; when it stops it gives the lease back, and the other leads at once", async () => {
    const [a, b] = [await candidate("a"), await candidate("b")];
    a.elector.start();
    await eventually("a leads", () => a.elector.isLeader);
    b.elector.start();
    await eventually("b knows who leads", () => b.elector.holder === "a");
    const before = await lease();

    await a.elector.stop();
    const given = await lease();
    await eventually("b leads", () => b.elector.isLeader);

    expect(before?.spec).toMatchObject({ holderIdentity: "a", leaseDurationSeconds: 3, leaseTransitions: 0 });
    expect(given?.spec?.["holderIdentity"] === "" || given?.spec?.["holderIdentity"] === "b").toBe(true);
    expect((await lease())?.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
    expect(a.terms.map(({ signal }) => signal.aborted)).toEqual([true]);
  });

  test.each(["down", "stall"] as const)("a leader that is cut off (%s) stops before another starts", async (how) => {
    const [a, b] = [await candidate("a"), await candidate("b")];
    a.elector.start();
    await eventually("a leads", () => a.elector.isLeader);
    b.elector.start();

    if (how === "down") a.proxy.goDown();
    else a.proxy.plan({ kind: "stall" }, { times: 1_000_000 });
    await eventually("b leads", () => b.elector.isLeader);

    expect([a.terms[0]?.signal.aborted, a.terms[0]?.held()]).toEqual([true, false]);
    a.proxy.heal();
    await eventually("a knows who leads", () => a.elector.holder === "b");
    expect(a.elector.isLeader).toBe(false);
  });

  test("the leader stays through answers that are lost and calls that fail", async () => {
    const a = await candidate("a", { leaseMs: 15_000, renewMs: 10_000 });
    a.elector.start();
    await eventually("a leads", () => a.elector.isLeader);
    for (const fault of [
      { kind: "lost-answer" },
      { kind: "answer", status: 500, reason: "InternalError" },
      { kind: "answer", status: 409, reason: "Conflict" },
      { kind: "reset" },
    ] as const) {
      const calls = a.proxy.callsOf(/^PUT/);
      a.proxy.plan(fault, { method: "PUT" });
      await eventually("it renews again", () => a.proxy.callsOf(/^PUT/) >= calls + 2);
    }

    expect(a.elector.isLeader).toBe(true);
    expect(a.terms.length).toBe(1);
  });

  test("a lease that is deleted or taken by hand is believed", async () => {
    const a = await candidate("a");
    a.elector.start();
    await eventually("a leads", () => a.elector.isLeader);

    const live = await eventually("a lease", lease);
    await direct.client.delete(resourceTypes.lease, live.metadata, { uid: live.metadata.uid ?? "" });
    await eventually("a new lease", async () => {
      const made = await lease();
      return made !== undefined && made.metadata.uid !== live.metadata.uid;
    });
    expect(a.terms.length).toBe(1);
    await direct.client.patch(resourceTypes.lease, { namespace, name: "nexus" }, { spec: { holderIdentity: "root" } });
    await eventually("a gives way", () => a.terms[0]?.signal.aborted);
    await eventually("a leads again when root is silent", () => a.elector.isLeader);

    expect(a.terms.length).toBe(2);
  });

  test("a candidate whose old work has not ended does not start anew", async () => {
    const a = await candidate("a");
    let end = () => {};
    a.ending = new Promise((resolve) => {
      end = resolve;
    });
    a.elector.start();
    await eventually("a leads", () => a.elector.isLeader);
    a.proxy.goDown();
    await eventually("a gives way", () => a.terms[0]?.signal.aborted);
    a.proxy.heal();
    const b = await candidate("b");
    b.elector.start();
    await eventually("b leads", () => b.elector.isLeader);

    expect(a.terms.length).toBe(1);
    await b.elector.stop();
    end();
    await eventually("a leads", () => a.terms.length === 2);
  });

  test("five candidates under random faults and a restart: never two at once, and somebody in the end", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) (await candidate(name)).elector.start();
    for (let round = 0; round < 3; round++) {
      const first = await eventually("a leader", leader);
      first.proxy.goDown();
      all[round]?.proxy.plan({ kind: "lost-answer" }, { method: "PUT", times: 2 });
      await eventually("another leader", () => (leader() === first ? undefined : leader()));
      first.proxy.heal();
    }
    await restart("apiserver");
    await eventually("a leader", leader);
  });
});
