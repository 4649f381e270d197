// The pitfalls of operators three to twelve, each injected on its own while a member of a living federation is replaced (one
// and two: crash.kube-api.ts). The oracle is the same change undisturbed: the same objects at the end, each made and deleted
// as often, never fewer boxes up than a majority, and every acknowledged write read back.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type KubeObject, keyOfObject } from "@nexus-federation/operator/runtime/objects.ts";
import { ownTypes, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { controlPlane, eventually, installCrds, restart, side } from "./harness/api.ts";
import { FaultProxy } from "./harness/fault-proxy.ts";
import { FederationRun } from "./harness/federation-run.ts";
import { Living } from "./harness/living.ts";
import { OperatorRun } from "./harness/operator-run.ts";
import { picture } from "./harness/oracle.ts";
import { rightsGiven, rightsUsed } from "./harness/rights.ts";

/** Lines that only one of the two has. */
function differing(seen: readonly string[], model: readonly string[]): string[] {
  const only = (sign: string, of: readonly string[], than: readonly string[]) =>
    of.filter((line) => !than.includes(line)).map((line) => `${sign} ${line}`);
  return [...only("+", seen, model), ...only("-", model, seen)];
}

const longMs = 240_000;
const ways = [
  { out: "nexus-2", into: "nexus-3" },
  { out: "nexus-3", into: "nexus-2" },
] as const;
type Way = (typeof ways)[number];

interface Model {
  seen: string[];
  made: string[];
}

describe.skipIf(!controlPlane)("pitfalls of operators", () => {
  let near: ReturnType<typeof side>;
  let proxy: FaultProxy;
  let far: ReturnType<typeof side>;
  let living: Living;
  let operator: OperatorRun;
  /** How often a way was gone: the next one is the other. */
  let turn = 0;
  const models: Model[] = [];
  const at = (name: string) => ({ namespace: living.namespace, name });

  beforeAll(async () => {
    near = side();
    await installCrds(near.client);
    proxy = await FaultProxy.start();
    far = side(proxy);
    living = await Living.declare(near);
    operator = await new OperatorRun(far, living).start();
    await eventually("a founded federation", living.settled, longMs);
    await living.load();
    for (const _ of ways) models.push(await replaced(async () => undefined));
  }, 600_000);
  afterEach(() => proxy?.heal());
  afterAll(async () => {
    await operator?.stop();
    await living?.stop();
    await proxy?.stop();
    for (const each of [near, far]) each?.connection.close();
  });

  const begin = async ({ out, into }: Way) => {
    await living.addBox(into);
    await living.change("RaftGroup", "main", { members: living.members("nexus-1", into) });
    await living.remove("Box", out);
  };

  /** The change of this turn, with `fault` from its begin on; what it came to. */
  async function replaced(fault: (begin: () => Promise<void>, way: Way) => Promise<void>): Promise<Model> {
    const way = ways[turn % 2]!;
    living.made.forget();
    living.pods.watchReady();
    let begun = false;
    const once = async () => {
      begun = true;
      await begin(way);
    };
    await fault(once, way);
    if (!begun) await once();
    const isOver = async () => {
      const { items } = await near.client.list<KubeObject>(ownTypes.Box, { namespace: living.namespace });
      return !items.some(({ metadata }) => metadata.name === way.out) && (await living.settled());
    };
    await eventually("the other member in its place", isOver, longMs);
    await living.removeClaim(way.out);
    const model = models[turn % 2];
    turn++;
    return { seen: await resting(model), made: living.made.lines() };
  }

  /** The picture once it is the model's; without a model, once it stays the same. What it is at last, should it never be so. */
  async function resting(model: Model | undefined): Promise<string[]> {
    let seen: string[] = [];
    const rests = async () => {
      const [before, renewed] = [seen, renewals()];
      if (model === undefined) await eventually("another renewal", () => renewals() > renewed);
      seen = await picture(near.client, living.namespace);
      return differing(seen, model?.seen ?? before).length === 0;
    };
    await eventually("a picture that rests", rests).catch(() => undefined);
    return seen;
  }

  /** How often the lease was renewed, as a measure of how long an operator was seen to do nothing else. */
  const renewals = () => proxy.callsOf(/^PUT .*leases/);

  /** That it came to what it comes to undisturbed; `besides` are lines of `made` that the fault itself caused. */
  function expectAsUndisturbed(model: Model, besides: string[] = []): void {
    const { seen, made } = models[(turn - 1) % 2]!;
    const keys = besides.map((line) => line.split(" ")[0]);
    const others = (lines: string[]) => lines.filter((line) => !keys.includes(line.split(" ")[0]!));
    expect(differing(model.seen, seen)).toEqual([]);
    expect(others(model.made)).toEqual(others(made));
    expect(model.made).toEqual(expect.arrayContaining(besides));
    expect(living.pods.readyMin).toBeGreaterThanOrEqual(2);
  }

  test("3 a stale view after a restart: an operator that takes office with old caches undoes nothing", async () => {
    await operator.stop();
    operator = await (await new OperatorRun(near, living).start()).leading();
    // It waits in the wings, has seen everything, sees nothing more from then on, and does not notice.
    const stale = await new OperatorRun(far, living, { stallMs: 600_000, watchSeconds: 600 }).start();
    proxy.watchMode = "drop";
    const model = await replaced(async () => undefined);

    await operator.stop();
    operator = await stale.leading();
    const renewed = renewals();
    await eventually("five renewals of its lease", () => renewals() >= renewed + 5);

    const seen = await resting(models[(turn - 1) % 2]);
    expectAsUndisturbed({ seen, made: living.made.lines() });
    expectAsUndisturbed(model);
    await operator.stop();
    proxy.heal();
    operator = await (await new OperatorRun(far, living).start()).leading();
  }, 600_000);

  test(
    "4 missed edges: what happened while no event came is done once events come again, nothing twice",
    async () => {
      const model = await replaced(async (begin, { out }) => {
        proxy.watchMode = "drop";
        await begin();
        const service = await near.client.get(resourceTypes.service, at("nexus-1-peer"));
        await near.client.delete(resourceTypes.service, at("nexus-1-peer"), { uid: service?.metadata.uid ?? "" });
        proxy.watchMode = "pass";
        proxy.breakWatches("expire");
        expect(out).toBeDefined();
      });

      expectAsUndisturbed(model, ["Service/nexus-1-peer 1 -1"]);
    },
    longMs,
  );

  test(
    "5 delete and recreate under one name: the second is another object, and is served as one",
    async () => {
      const model = await replaced(async (begin, { into }) => {
        proxy.goDown();
        await begin();
        const first = (await living.get("Box", into)).metadata.uid;
        await living.remove("Box", into);
        await living.addBox(into);
        expect((await living.get("Box", into)).metadata.uid).not.toBe(first);
        const zone = await living.get("ConsensusZone", "root");
        await near.client.patch(ownTypes.ConsensusZone, at("root"), { metadata: { finalizers: null } });
        await living.remove("ConsensusZone", "root");
        await living.create("ConsensusZone", "root", zone.spec as object);
        proxy.heal();
      });

      expectAsUndisturbed(model);
    },
    longMs,
  );

  test.each(["stall", "duplicate", "reorder"] as const)(
    "6 watches that die: %s, cut, expired, garbled",
    async (mode) => {
      const model = await replaced(async (begin) => {
        proxy.watchMode = mode;
        await begin();
        for (const how of ["reset", "garble", "end", "expire"] as const) proxy.breakWatches(how);
        proxy.plan({ kind: "answer", status: 410, reason: "Expired" }, { path: /watch=true/, times: 5 });
        proxy.plan({ kind: "lost-answer" }, { method: "PATCH", times: 5 });
        proxy.plan({ kind: "answer", status: 429, reason: "TooManyRequests", retryAfterSeconds: 1 }, { times: 3 });
        proxy.plan({ kind: "answer", status: 500, reason: "InternalError" }, { method: "PATCH", times: 5 });
        const exists = { kind: "answer", status: 409, reason: "AlreadyExists" } as const;
        proxy.plan(exists, { method: "POST", path: /persistentvolumeclaims/, times: 1 });
      });

      expectAsUndisturbed(model);
    },
    longMs,
  );

  test.each(["apiserver", "etcd"] as const)(
    "6 a restart: %s is killed in the middle",
    async (what) => {
      const model = await replaced(async (begin) => {
        await begin();
        await restart(what);
      });

      expectAsUndisturbed(model);
    },
    longMs,
  );

  test(
    "7 poison objects cost the others nothing, and say what is wrong with them",
    async () => {
      const poison = ["Box/poison", "ConsensusZone/poison", "RaftGroup/poison"];
      await living.create("Box", "poison", {
        region: "local",
        podTemplate: { spec: { containers: [{ name: "nexus", image: "other" }] } },
      });
      await living.create("ConsensusZone", "poison", { pathPattern: "/**", mode: "strong", authorityBox: "absent" });
      await living.create("RaftGroup", "poison", { members: [{ box: "absent", role: "Voter" }] });
      await living.create("Mount", "poison", { path: "/poison", zone: "root" });
      const said = async () => (await living.open()).filter((line) => poison.some((key) => line.startsWith(key)));
      const way = ways[turn % 2]!;
      living.made.forget();
      await begin(way);
      const others = async () => (await living.open()).every((line) => poison.some((key) => line.startsWith(key)));
      const isOver = async () => (await others()) && !(await near.client.get(ownTypes.Box, at(way.out)));
      await eventually("all but the poison", isOver, longMs);

      const lines = await said();
      for (const key of poison) expect(lines.join("\n")).toContain(key);
      expect(lines.join("\n")).toContain("PodTemplateRefused");
      const mount = async () => JSON.stringify((await living.get("Mount", "poison")).status ?? {});
      await eventually("what the Mount says", async () => (await mount()).includes("NotBuiltYet"), longMs);
      for (const kind of ["Mount", "ConsensusZone", "RaftGroup", "Box"] as const) await living.remove(kind, "poison");
      await eventually("the end of the poison", living.settled, longMs);
      await living.removeClaim(way.out);
      await living.removeClaim("poison");
      turn++;
      expect(differing(await resting(models[(turn - 1) % 2]), models[(turn - 1) % 2]!.seen)).toEqual([]);
    },
    longMs,
  );

  test(
    "8 co-writers: what the operator decides is put right, what others add stays",
    async () => {
      const set = at("nexus-1");
      const model = await replaced(async (begin) => {
        await begin();
        const labels = { theirs: "stays", "app.kubernetes.io/component": "theirs" };
        for (let i = 0; i < 5; i++)
          await near.client.patch(resourceTypes.service, at("nexus-1-client"), { metadata: { labels } });
        await near.client.patch(resourceTypes.podDisruptionBudget, set, { spec: { maxUnavailable: 5 } });
      });

      const service = await near.client.get(resourceTypes.service, at("nexus-1-client"));
      expect(service?.metadata.labels).toMatchObject({ theirs: "stays", "app.kubernetes.io/component": "node" });
      await near.client.patch(resourceTypes.service, at("nexus-1-client"), { metadata: { labels: { theirs: null } } });
      expectAsUndisturbed({ ...model, seen: await picture(near.client, living.namespace) });
    },
    longMs,
  );

  test(
    "9 two operators that both believe to be the one",
    async () => {
      const model = await replaced(async (begin) => {
        const { adminEndpoint, namespace } = living;
        const other = await new FederationRun(side(), namespace, { adminEndpoint }).start();
        await begin();
        await other.settle(living.settled);
        await other.stop();
      });

      expectAsUndisturbed(model);
    },
    longMs,
  );

  test(
    "10 a bad state is left by mending the spec: the image is not there, the group never loses its majority",
    async () => {
      living.made.forget();
      living.pods.watchReady();
      await living.change("Box", "nexus-1", { image: "nexus-node:absent" });
      const isAway = async () =>
        JSON.stringify((await living.get("Box", "nexus-1")).status).includes("ImagePullBackOff");
      await eventually("a pod that does not start", isAway, longMs);
      await living.change("Box", "nexus-1", { image: null });
      await eventually("a mended box", living.settled, longMs);

      expect(living.pods.readyMin).toBe(2);
      expect(living.made.lines()).toEqual([]);
      expect(differing(await resting(models[(turn - 1) % 2]), models[(turn - 1) % 2]!.seen)).toEqual([]);
    },
    longMs,
  );

  test(
    "11 fast and nonsensical specs end where the last one says",
    async () => {
      const model = await replaced(async (begin, { into, out }) => {
        const member = (box: string, role = "Voter") => ({ box, role });
        const nonsense = [
          [member("nexus-1"), member(out)],
          [member("nexus-1")],
          [member("nexus-1"), member("absent"), member("witness-1", "Witness")],
          [member("nexus-1"), member("witness-1"), member(into)],
          living.members("nexus-1", out),
          living.members(out, "nexus-1"),
        ];
        for (const members of nonsense) await living.change("RaftGroup", "main", { members });
        for (const image of ["nexus-node:absent", null]) await living.change("Box", "nexus-1", { image });
        await begin();
      });

      expect(differing(model.seen, models[(turn - 1) % 2]!.seen)).toEqual([]);
    },
    longMs,
  );

  test.each(["lost", "rolled back"] as const)(
    "12 a disk that is %s is another incarnation, taken in as a learner first",
    async (how) => {
      const box = ways[turn % 2]!.out;
      const incarnation = async () =>
        ((await living.get("Box", box)).status as { incarnation?: string } | undefined)?.incarnation;
      const claim = await near.client.get<KubeObject>(resourceTypes.persistentVolumeClaim, at(`${box}-data`));
      const [before, volume] = [await incarnation(), claim?.metadata.uid ?? ""];
      const pod = await near.client.get(resourceTypes.pod, at(`${box}-0`));
      if (how === "rolled back") living.pods.restored = living.pods.snapshot(pod?.metadata.uid ?? "", volume);
      await living.removeClaim(box);
      await near.client.delete(resourceTypes.pod, at(`${box}-0`), { uid: pod?.metadata.uid ?? "" });
      const isAnother = async () => ![before, undefined].includes(await incarnation()) && (await living.settled());
      await eventually("another incarnation", isAnother, longMs);
      living.pods.restored = undefined;

      expect(differing(await resting(models[(turn - 1) % 2]), models[(turn - 1) % 2]!.seen)).toEqual([]);
    },
    longMs,
  );

  test("every right that the operator holds is used, by what the other suites show besides", () => {
    const rules = ["federation", "cluster"].flatMap((name) =>
      parse(readFileSync(resolve(import.meta.dirname, `../../charts/nexus/files/rbac/${name}.yaml`), "utf8")),
    );
    const used = rightsUsed(proxy.calls);
    const elsewhere = [
      // operator.kube-api.ts: tls.source CertManager.
      "create cert-manager.io/certificates",
      "patch cert-manager.io/certificates",
      // token-review.kube-api.ts: auth.tokenReview.
      "create /serviceaccounts",
      // kube/members.kube.ts: a volume that grows.
      "patch /persistentvolumeclaims",
      // operator.kube-api.ts: a Federation.
      "patch federation.nexus.io/federations/status",
      // kube/install.kube.ts: an operator of all namespaces, and one that is away while a namespace ends.
      "get /namespaces",
      "list /namespaces",
      "watch /namespaces",
    ];

    expect(rightsGiven(rules).filter((right) => !used.has(right) && !elsewhere.includes(right))).toEqual([]);
  });

  test(
    "after all of it, every acknowledged write is read back and every register has an order",
    async () => {
      await living.judge();
      expect(keyOfObject(await living.get("ConsensusZone", "root"))).toBe(`${living.namespace}/root`);
    },
    longMs,
  );
});
