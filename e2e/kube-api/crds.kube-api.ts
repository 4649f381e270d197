// What the API server itself makes of our CRDs: every rule and schema of one object, with its words.
import { type Kind, kindNames, kinds } from "@nexus-federation/operator/api/kinds.ts";
import { accepted, refused, specsOf } from "@nexus-federation/operator/api/testing/table.ts";
import { isKubeError, type KubeError } from "@nexus-federation/operator/runtime/kube-error.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { ownTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { beforeAll, describe, expect, test } from "vitest";
import { controlPlane, installCrds, kubectl, newNamespace, side } from "./harness/api.ts";

interface AnyRule {
  field: string;
  sentence: string;
  transition?: true;
  holds: (self: object, old: object) => boolean;
}
const rulesOf = (kind: Kind) => kinds[kind].rules as unknown as AnyRule[];
const isGood = (kind: Kind, spec: object) => rulesOf(kind).every((rule) => rule.transition || rule.holds(spec, spec));

describe.skipIf(!controlPlane)("the CRDs on a real API server", () => {
  const { client, connection } = controlPlane ? side() : ({} as ReturnType<typeof side>);
  let namespace = "";
  let made = 0;

  beforeAll(async () => {
    await installCrds(client);
    namespace = await newNamespace(client);
    return () => connection.close();
  });

  function objectOf(kind: Kind, spec: object, name = kind === "Federation" ? "federation" : `o${++made}`): KubeObject {
    return { apiVersion: "federation.nexus.io/v1alpha1", kind, metadata: { namespace, name }, spec };
  }

  /** The stored object; the namespace is as before afterwards unless `keep`. */
  async function create(object: KubeObject, keep = false): Promise<KubeObject> {
    const kind = object.kind as Kind;
    const stored = await client.create(ownTypes[kind], object);
    if (!keep) await remove(stored);
    return stored;
  }
  async function remove(stored: KubeObject): Promise<void> {
    await client.delete(ownTypes[stored.kind as Kind], stored.metadata, { uid: stored.metadata.uid ?? "" });
  }
  async function refusal(work: Promise<unknown>): Promise<KubeError> {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!isKubeError(error, "INVALID")) throw new Error("the API server accepted it", { cause: error });
    return error;
  }

  test.each(accepted)("%s (%s) is accepted and stored with the defaults of the schema", async (_what, kind, spec) => {
    const stored = await create(objectOf(kind, spec));

    expect(stored.spec).toEqual(JSON.parse(JSON.stringify(kinds[kind].spec.parse(spec))));
  });

  test.each(refused)("%s (%s) is refused and names the field", async (_what, kind, spec, fields) => {
    const error = await refusal(create(objectOf(kind, spec)));

    const blamed = error.causes.map(({ field, message }) => `${field} ${message}`).join("\n");
    // A repeated key of a list is blamed on the item there, on the key here.
    for (const field of fields) expect(blamed).toContain(field.replace(/\]\.[a-z]+$/i, "]"));
  });

  describe.each(kindNames)("%s", (kind) => {
    const good = specsOf(kind).filter((spec) => isGood(kind, spec));

    test.each(rulesOf(kind).map((rule): [string, AnyRule] => [rule.sentence, rule]))(
      "refuses in these words what breaks: %s",
      async (sentence, rule) => {
        if (rule.transition) {
          const pair = good.flatMap((old) =>
            good.filter((next) => !rule.holds(next, old)).map((next) => [old, next]),
          )[0];
          expect(pair, "the table has two good specs that break the rule").toBeDefined();
          const stored = await create(objectOf(kind, pair![0]!), true);
          const error = await refusal(client.replace(ownTypes[kind], { ...stored, spec: pair![1] }));
          await remove(stored);
          expect(error.message).toContain(sentence);
        } else {
          const spec = specsOf(kind).find((each) => !rule.holds(each, each));
          expect(spec, "the table has a spec that breaks the rule").toBeDefined();
          const error = await refusal(create(objectOf(kind, spec!)));
          expect(error.message).toContain(sentence);
          expect(error.causes.map(({ field }) => field).join(" ")).toContain(`spec.${rule.field}`);
        }
      },
    );

    test("every good spec of the table is accepted", async () => {
      for (const spec of good) await create(objectOf(kind, spec));
    });

    test("a field that is not in the schema is refused, not dropped", async () => {
      const error = await refusal(create(objectOf(kind, { ...good[0], mispelt: 1 })));

      expect(error.message).toContain('unknown field "spec.mispelt"');
    });

    test("a name that is no DNS label of at most 52 characters is refused in a sentence", async () => {
      for (const name of ["1a", `a${"b".repeat(52)}`]) {
        const error = await refusal(create(objectOf(kind, good[0]!, name)));
        expect(error.message).toMatch(/metadata\.name is a lower-case DNS label|always named federation/);
      }
    });

    test("status is a subresource with conditions, and spec does not change with it", async () => {
      const stored = await create(objectOf(kind, good[0]!), true);
      const condition = {
        type: "Ready",
        status: "False",
        reason: "Waiting",
        message: "Nothing runs yet.",
        lastTransitionTime: "2026-01-01T00:00:00Z",
        observedGeneration: 1,
      };
      const { apiVersion, metadata } = stored;
      const status = { observedGeneration: 1, conditions: [condition] };
      const intent = { apiVersion, kind, metadata: { name: metadata.name, namespace, uid: metadata.uid }, status };

      const after = await client.applyStatus(ownTypes[kind], intent as KubeObject);
      const shown = await kubectl(["-n", namespace, "get", kinds[kind].plural, metadata.name ?? ""]);
      await remove(after);

      expect(after.status).toEqual(status);
      expect(after.metadata.generation).toBe(1);
      for (const column of kinds[kind].columns)
        if (!column.priority) expect(shown).toContain(column.name.toUpperCase());
      expect(shown).toContain("Waiting");
    });

    test("kubectl explain tells unit, default and consequence of every field of spec", async () => {
      const text = await kubectl(["explain", `${kinds[kind].plural}.spec`, "--recursive=false"]);
      const properties = Object.keys(kinds[kind].spec.parse(good[0]) as object);

      expect(text).toContain("DESCRIPTION");
      for (const property of properties) expect(text).toContain(property);
      expect(text.match(/<no description>/g)).toBeNull();
    });

    test("short name and category lead to it", async () => {
      const shown = await kubectl(["api-resources", "--categories=nexus", "--no-headers"]);

      expect(shown).toContain(kinds[kind].plural);
      await kubectl(["-n", namespace, "get", kinds[kind].shortName]);
    });
  });

  test("apply, diff, wait and a second manager of kubectl behave", async () => {
    const spec = { pathPattern: "/kubectl/**", mode: "strong", authorityBox: "a" };
    const zone = JSON.stringify(objectOf("ConsensusZone", spec, "by-kubectl"));
    const version = () =>
      kubectl(["-n", namespace, "get", "zone", "by-kubectl", "-o", "jsonpath={.metadata.resourceVersion}"]);

    await kubectl(["apply", "--server-side", "--field-manager=git", "-f", "-"], zone);
    const first = await version();
    await kubectl(["apply", "--server-side", "--field-manager=git", "-f", "-"], zone);
    const diff = await kubectl(["diff", "--server-side", "--field-manager=git", "-f", "-"], zone);
    const second = await version();
    const stored = await client.get<KubeObject>(ownTypes.ConsensusZone, { namespace, name: "by-kubectl" });
    const ready = { type: "Ready", status: "True", reason: "Installed", message: "It is in force." };
    const conditions = [{ ...ready, lastTransitionTime: "2026-01-01T00:00:00Z" }];
    const { apiVersion, kind, metadata } = stored!;
    const intent = { apiVersion, kind, metadata: { namespace, name: metadata.name, uid: metadata.uid } };
    await client.applyStatus(ownTypes.ConsensusZone, { ...intent, status: { conditions } } as KubeObject);
    await kubectl(["-n", namespace, "wait", "zone/by-kubectl", "--for=condition=Ready", "--timeout=20s"]);
    // What Git takes back goes; the status and what others own stay.
    await kubectl(
      ["apply", "--server-side", "--field-manager=git", "-f", "-"],
      JSON.stringify(objectOf("ConsensusZone", { ...spec, replicas: ["b"] }, "by-kubectl")),
    );
    await kubectl(["apply", "--server-side", "--field-manager=git", "-f", "-"], zone);
    const reverted = await client.get<KubeObject>(ownTypes.ConsensusZone, { namespace, name: "by-kubectl" });

    expect(second).toBe(first);
    expect(diff).toBe("");
    expect(reverted!.spec).toEqual(stored!.spec);
    expect(reverted!.status).toEqual({ conditions });
  });

  test("the name system belongs to nobody's zone, and the Federation has one name", async () => {
    const zone = await refusal(create(objectOf("ConsensusZone", specsOf("ConsensusZone")[0]!, "system")));
    const federation = await refusal(create(objectOf("Federation", { trustDomain: "acme" }, "other")));

    expect(zone.message).toContain("The name system belongs to the zone of rules and boxes.");
    expect(federation.message).toContain("The Federation is always named federation.");
  });

  test("kubectl explain zone.spec.mode reads well", async () => {
    const text = (await kubectl(["explain", "zone.spec.mode"])).replace(/\s+/g, " ");

    expect(text).toContain("strong_ha: Raft members, linearizable, survives a failure.");
    expect(text).toContain("ENUM: strong");
  });
});
