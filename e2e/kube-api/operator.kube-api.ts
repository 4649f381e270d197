// The operator's controller against a real API server: killed after every single write of a federation's first rounds,
// each time the next life must bring it to the very objects that an undisturbed one makes, with nothing made twice.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import { letGo } from "@nexus-federation/operator/controllers/let-go.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { ownTypes, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { configMap, controlPlane, eventually, installCrds, newNamespace, side } from "./harness/api.ts";
import { FederationRun } from "./harness/federation-run.ts";
import { Made, picture } from "./harness/oracle.ts";

const example = resolve(import.meta.dirname, "../../examples/quickstart.yaml");
describe.skipIf(!controlPlane)("a federation's objects", () => {
  let near: ReturnType<typeof side>;

  beforeAll(async () => {
    near = side();
    await installCrds(near.client);
  });
  afterAll(() => near?.connection.close());

  async function declared(): Promise<string> {
    const namespace = await newNamespace(near.client);
    for (const document of parseAllDocuments(readFileSync(example, "utf8"))) {
      const object = document.toJS() as KubeObject;
      const type = ownTypes[object.kind as keyof typeof ownTypes];
      await near.client.create(type, { ...object, metadata: { ...object.metadata, namespace } });
    }
    return namespace;
  }

  /** One life after the other, the first ending after so many writes. */
  async function lives(crashAfter?: number) {
    const namespace = await declared();
    const made = await new Made(near, namespace).start();
    const first = await new FederationRun(near, namespace, { crashAfter }).start();
    await first.settle();
    await first.stop();
    const second = await new FederationRun(near, namespace).start();
    await second.settle();
    await second.stop();
    await made.stop();
    const seen = await picture(near.client, namespace);
    return { seen, made: made.lines(), crashed: first.acts };
  }

  test("wherever the operator is killed, the next one brings the same objects about, each made once", async () => {
    const undisturbed = await lives();
    expect(undisturbed.made.filter((line) => !line.endsWith(" 1"))).toEqual([]);
    expect(undisturbed.made).toHaveLength(24);

    const wrong: object[] = [];
    const places = Array.from({ length: undisturbed.crashed }, (_, index) => index + 1);
    const one = async () => {
      for (let place = places.shift(); place !== undefined; place = places.shift()) {
        const { seen, made } = await lives(place);
        const same = JSON.stringify([seen, made]) === JSON.stringify([undisturbed.seen, undisturbed.made]);
        if (!same) wrong.push({ place, seen: seen.filter((line) => !undisturbed.seen.includes(line)), made });
      }
    };
    await Promise.all([one(), one(), one(), one()]);

    expect(wrong).toEqual([]);
    console.log(`killed after each of ${undisturbed.crashed} writes`);
  }, 600_000);

  test("once everything is let go, a namespace's boxes and zones are gone as soon as they are deleted", async () => {
    const namespace = await declared();
    const run = await new FederationRun(near, namespace).start();
    await run.settle();
    await run.stop();
    const held = async () => {
      const both = [ownTypes.Box, ownTypes.ConsensusZone].map((type) =>
        near.client.list<KubeObject>(type, { namespace }),
      );
      return (await Promise.all(both)).flatMap(({ items }) => items.filter((item) => item.metadata.finalizers?.length));
    };
    expect(await held()).toHaveLength(4);

    expect(await letGo(near.client, [namespace])).toBe(4);

    expect(await held()).toEqual([]);
    expect(await letGo(near.client, [namespace])).toBe(0);
  });

  test("a federation that was started and whose volume claims are all gone says so and gets no new ones", async () => {
    const namespace = await declared();
    const first = await new FederationRun(near, namespace).start();
    await first.settle();
    await first.stop();
    const known = { ...configMap(namespace, "nexus-uids", { federation: namespace }) };
    const labels = { "app.kubernetes.io/managed-by": "nexus-operator" };
    await near.client.create(resourceTypes.configMap, { ...known, metadata: { ...known.metadata, labels } });
    const claims = async () => (await near.client.list(resourceTypes.persistentVolumeClaim, { namespace })).items;
    for (const { metadata } of await claims()) {
      // Kubernetes' own finalizer goes with the controller that is not here.
      const at = { namespace, name: metadata.name };
      await near.client.patch(resourceTypes.persistentVolumeClaim, at, { metadata: { finalizers: null } });
      await near.client.delete(resourceTypes.persistentVolumeClaim, at, { uid: metadata.uid ?? "" });
    }

    const second = await new FederationRun(near, namespace).start();
    await second.settle();
    await second.stop();

    expect(await claims()).toEqual([]);
    const zone = await near.client.get<KubeObject>(ownTypes.ConsensusZone, { namespace, name: "root" });
    const { conditions } = (zone?.status ?? {}) as { conditions?: { type: string; status: string; reason: string }[] };
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: "DataLost", status: "True", reason: "DataLost" }),
    );
    const box = await near.client.get<KubeObject>(ownTypes.Box, { namespace, name: "nexus-1" });
    expect(JSON.stringify(box?.status)).toContain("federation.nexus.io/replace-volume");
  });

  test("certificates that somebody else gives are used as they are; until then each box says which Secret is missing", async () => {
    const namespace = await declared();
    const spec = { trustDomain: "given", tls: { source: "Secret" } };
    const metadata = { name: "federation", namespace };
    await near.client.create(ownTypes.Federation, { ...apiOf("Federation"), metadata, spec } as KubeObject);
    const authority = await Authority.create("given", Date.now());
    const give = async (name: string, kind: "box" | "operator", id: string) => {
      const { ca, certificate, key } = await authority.issue({ kind, id }, { nowMs: Date.now() });
      const texts = { "ca.crt": ca, "tls.crt": certificate, "tls.key": key };
      const data = Object.fromEntries(Object.entries(texts).map(([of, text]) => [of, btoa(text)]));
      const secret = {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { namespace, name },
        type: "kubernetes.io/tls",
        data,
      };
      await near.client.create(resourceTypes.secret, secret as KubeObject);
    };
    await give("nexus-operator-tls", "operator", "default");
    await give("nexus-1-tls", "box", "nexus-1");
    const run = await new FederationRun(near, namespace).start();
    await run.settle();
    await run.stop();

    const sets = (await near.client.list(resourceTypes.statefulSet, { namespace })).items;
    expect(sets.map((set) => set.metadata.name)).toEqual(["nexus-1"]);
    const box = await near.client.get<KubeObject>(ownTypes.Box, { namespace, name: "nexus-2" });
    expect(JSON.stringify(box?.status)).toContain("Secret nexus-2-tls with ca.crt, tls.crt and tls.key is missing");
    const token = await near.client.get<KubeObject & { data: Record<string, string> }>(resourceTypes.secret, {
      namespace,
      name: "nexus-token",
    });
    expect(atob(token?.data["ca.crt"] ?? "")).toBe(authority.certificatePem);
    expect(await near.client.get(resourceTypes.secret, { namespace, name: "nexus-authority" })).toBeUndefined();
  });

  test("with cert-manager, each box and the operator ask for a certificate with their identity", async () => {
    const namespace = await declared();
    await near.client.apply(resourceTypes.customResourceDefinition, certificateDefinition as KubeObject);
    await eventually("certificates are served", () =>
      near.client.list(resourceTypes.certificate, { namespace }).then(
        () => true,
        () => false,
      ),
    );
    const spec = { trustDomain: "managed", tls: { source: "CertManager", issuerRef: { name: "corporate" } } };
    const metadata = { name: "federation", namespace };
    await near.client.create(ownTypes.Federation, { ...apiOf("Federation"), metadata, spec } as KubeObject);
    const run = await new FederationRun(near, namespace).start();
    await run.settle();
    await run.stop();

    const asked = (await near.client.list<KubeObject>(resourceTypes.certificate, { namespace })).items;
    expect(asked.map(({ metadata: { name } }) => name)).toEqual(["nexus-operator-tls"]);
    expect(asked[0]?.spec).toMatchObject({
      secretName: "nexus-operator-tls",
      uris: ["spiffe://managed/operator/default"],
      issuerRef: { group: "cert-manager.io", kind: "Issuer", name: "corporate" },
    });
    const box = await near.client.get<KubeObject>(ownTypes.Box, { namespace, name: "nexus-1" });
    expect(JSON.stringify(box?.status)).toContain("waits for its certificate: Secret nexus-operator-tls");
  });
});

const apiOf = (kind: string) => ({ apiVersion: "federation.nexus.io/v1alpha1", kind });

/** As much of cert-manager as the operator meets: the kind that it writes. */
const certificateDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "certificates.cert-manager.io" },
  spec: {
    group: "cert-manager.io",
    scope: "Namespaced",
    names: { kind: "Certificate", listKind: "CertificateList", plural: "certificates", singular: "certificate" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};
