import { expect, test } from "vitest";
import type { BoxSpec } from "../../api/box.ts";
import { checkObject } from "../../api/check.ts";
import { apiVersion } from "../../api/kinds.ts";
import { budgetOf, clientServiceOf, configMapOf, peerServiceOf, statefulSetOf, volumeClaimOf } from "./children.ts";
import type { BoxModel } from "./model.ts";
import { askedOf } from "./pod.ts";
import { at } from "./view.ts";

function specOf(spec: object): BoxSpec {
  const checked = checkObject({ apiVersion, kind: "Box", metadata: { name: "b" }, spec: { region: "here", ...spec } });
  if ("faults" in checked || checked.resource.kind !== "Box") throw new Error(JSON.stringify(checked));
  return checked.resource.spec;
}

function model(spec: object = {}, more: Partial<BoxModel> = {}): BoxModel {
  return {
    name: "nexus-1",
    namespace: "ns",
    uid: "box-uid",
    federation: "acme",
    spec: specOf(spec),
    image: "nexus-node:1",
    pinnedImage: "nexus-node:1",
    pullPolicy: "IfNotPresent",
    pullSecrets: [],
    volumeUid: "volume-uid",
    stopped: false,
    evictable: false,
    audience: undefined,
    peers: [{ box: "nexus-2", endpoint: "nexus-2-peer.ns.svc:2027" }],
    ...more,
  };
}

const podOf = (box: BoxModel) => at(statefulSetOf(box), "spec", "template", "spec");
const containerOf = (box: BoxModel) => at(podOf(box), "containers", 0) as Record<string, unknown>;

test("a pod keeps to restricted Pod Security with a read-only root, whatever the role", () => {
  for (const role of ["Data", "Witness"]) {
    const box = model({ role });
    expect(podOf(box)).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(containerOf(box)["securityContext"]).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(containerOf(box)["resources"]).toMatchObject({
      requests: { memory: expect.any(String), cpu: expect.any(String) },
      limits: { memory: role === "Witness" ? "64Mi" : "1Gi" },
    });
  }
});

test("a workload waits for the operator before its pod changes, and a stopped one keeps all but its pod", () => {
  expect(statefulSetOf(model()).spec).toMatchObject({ replicas: 1, updateStrategy: { type: "OnDelete" } });
  expect(statefulSetOf(model({}, { stopped: true })).spec).toMatchObject({ replicas: 0 });
});

test("nothing has an owner: a deletion in the foreground must not take a voter's pod", () => {
  const box = model();
  const all = [statefulSetOf, configMapOf, peerServiceOf, clientServiceOf, budgetOf, volumeClaimOf].map((of) =>
    of(box),
  );

  for (const object of all) expect(object.metadata.ownerReferences).toBeUndefined();
});

test("peers find a box before it is ready, clients do not", () => {
  expect(peerServiceOf(model()).spec).toMatchObject({ publishNotReadyAddresses: true, ports: [{ port: 2027 }] });
  expect(at(clientServiceOf(model()), "spec", "publishNotReadyAddresses")).toBeUndefined();
});

test("eviction is refused until it is the box's turn, and never for a pod that is not ready", () => {
  expect(budgetOf(model()).spec).toMatchObject({ maxUnavailable: 0, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  expect(budgetOf(model({}, { evictable: true })).spec).toMatchObject({ maxUnavailable: 1 });
});

test("the node is told its volume's uid; a witness has a tiny volume and neither tokens nor peers", () => {
  expect(containerOf(model())["env"]).toContainEqual({ name: "NEXUS_VOLUME_UID", value: "volume-uid" });
  expect(containerOf(model())["env"]).toContainEqual({ name: "NEXUS_METRICS_PORT", value: "2029" });
  const witness = model({ role: "Witness" });
  expect(at(volumeClaimOf(witness), "spec", "resources", "requests", "storage")).toBe("64Mi");
  const config = JSON.parse((configMapOf(witness)["data"] as Record<string, string>)["config.json"]!);
  expect(Object.keys(config)).not.toContain("tokensFile");
  expect(JSON.stringify(podOf(witness))).not.toContain("nexus-access");
});

test("what is asked changes with image, template and volume, not with where the peers are", () => {
  const asked = askedOf(model());

  expect(askedOf(model({}, { peers: [] }))).toBe(asked);
  expect(askedOf(model({}, { image: "nexus-node:2" }))).not.toBe(asked);
  expect(askedOf(model({}, { volumeUid: "other" }))).not.toBe(asked);
  expect(askedOf(model({ podTemplate: { metadata: { labels: { team: "a" } } } }))).not.toBe(asked);
});

test("a pod template is merged by name: containers and volumes are added, the box's own is amended", () => {
  const box = model({
    podTemplate: {
      spec: {
        nodeSelector: { disk: "fast" },
        containers: [
          { name: "nexus", resources: { limits: { memory: "4Gi" } } },
          { name: "sidecar", image: "x" },
        ],
      },
    },
  });

  expect(podOf(box)).toMatchObject({ nodeSelector: { disk: "fast" } });
  expect(containerOf(box)).toMatchObject({ image: "nexus-node:1", resources: { limits: { cpu: "2", memory: "4Gi" } } });
  expect(at(podOf(box), "containers", 1)).toEqual({ name: "sidecar", image: "x" });
});

test("a data box that checks service account tokens has an account and a token of its own, nobody else has", () => {
  const asking = model({}, { audience: "nexus" });
  const api = "/var/run/secrets/kubernetes.io/serviceaccount";

  expect(podOf(asking)).toMatchObject({ serviceAccountName: "nexus-box", automountServiceAccountToken: false });
  expect(containerOf(asking)["volumeMounts"]).toContainEqual({ name: "api", mountPath: api, readOnly: true });
  expect(JSON.parse((configMapOf(asking)["data"] as Record<string, string>)["config.json"]!)).toMatchObject({
    tokenReview: { url: "https://kubernetes.default.svc", caFile: `${api}/ca.crt`, audience: "nexus" },
  });
  expect(askedOf(asking)).not.toBe(askedOf(model()));
  for (const other of [model(), model({ role: "Witness" }, { audience: "nexus" })]) {
    expect(JSON.stringify(podOf(other))).not.toContain("serviceaccount");
    expect(podOf(other)).not.toHaveProperty("serviceAccountName");
  }
});
