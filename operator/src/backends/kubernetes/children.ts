// What the operator makes for a box, as manifests: pure functions of the model. None has an owner: a deletion in the
// foreground (the default of Argo CD) would take the pod of a voter away before its group let it go. The operator removes
// them itself once nothing names the box; the volume stays always.
import type { KubeObject } from "../../runtime/objects.ts";
import { boxPorts } from "../shared/container.ts";
import { configOf } from "./config.ts";
import type { BoxModel } from "./model.ts";
import {
  boxLabel,
  boxUidAnnotation,
  budgetName,
  clientServiceName,
  configName,
  federationLabel,
  federationServiceName,
  labelsOf,
  peerServiceName,
  pinnedImageAnnotation,
  statefulSetName,
  volumeClaimName,
} from "./names.ts";
import { podTemplateOf } from "./pod.ts";

/** A witness stores under 100 bytes a group. */
const witnessVolume = "64Mi";

function metadataOf(box: BoxModel, name: string, annotations: Record<string, string> = {}) {
  return {
    name,
    namespace: box.namespace,
    labels: labelsOf(box.federation, { name: box.name, role: box.spec.role }),
    annotations: { [boxUidAnnotation]: box.uid, ...annotations },
  };
}

export function configMapOf(box: BoxModel): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(box, configName(box.name)),
    data: { "config.json": `${JSON.stringify(configOf(box), null, 2)}\n` },
  };
}

/** As it is created. Later only its size is applied: the rest of a claim cannot change. */
export function volumeClaimOf(box: Pick<BoxModel, "name" | "namespace" | "federation" | "spec">): KubeObject {
  const { name, namespace, federation, spec } = box;
  const { storageClassName } = spec.storage;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: volumeClaimName(name), namespace, labels: labelsOf(federation, { name, role: spec.role }) },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: volumeSize(spec) } },
      ...(storageClassName === "" ? {} : { storageClassName }),
    },
  };
}

/** A witness that says nothing else gets a tiny volume. */
export function volumeSize(spec: BoxModel["spec"]): string {
  const isDefault = spec.storage.size === "20Gi";
  return spec.role === "Witness" && isDefault ? witnessVolume : spec.storage.size;
}

export function statefulSetOf(box: BoxModel): KubeObject {
  const matchLabels = { [boxLabel]: box.name };
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: metadataOf(box, statefulSetName(box.name), { [pinnedImageAnnotation]: box.pinnedImage }),
    spec: {
      replicas: box.stopped ? 0 : 1,
      serviceName: peerServiceName(box.name),
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "OnDelete" },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      revisionHistoryLimit: 3,
      selector: { matchLabels },
      template: podTemplateOf(box),
    },
  };
}

/** Boxes find each other before they are ready: that is how they become it. */
export function peerServiceOf(box: BoxModel): KubeObject {
  return service(box, peerServiceName(box.name), {
    publishNotReadyAddresses: true,
    ports: [{ name: "peer", port: boxPorts.peer, targetPort: "peer", protocol: "TCP" }],
  });
}

export function clientServiceOf(box: BoxModel): KubeObject {
  return service(box, clientServiceName(box.name), {
    ports: [{ name: "client", port: boxPorts.client, targetPort: "client", protocol: "TCP" }],
  });
}

function service(box: BoxModel, name: string, spec: object): KubeObject {
  const { type = "ClusterIP", annotations, loadBalancerClass } = box.spec.service ?? {};
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadataOf(box, name, annotations),
    spec: {
      type,
      selector: { [boxLabel]: box.name },
      ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
      ...spec,
    },
  };
}

/** Of all data boxes of the federation. */
export function federationServiceOf(namespace: string, federation: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: federationServiceName, namespace, labels: labelsOf(federation) },
    spec: {
      type: "ClusterIP",
      selector: { [federationLabel]: federation, "app.kubernetes.io/component": "node" },
      ports: [{ name: "client", port: boxPorts.client, targetPort: "client", protocol: "TCP" }],
    },
  };
}

/** No voluntary disruption that the operator has not prepared; a pod that is not ready is nobody's loss. */
export function budgetOf(box: BoxModel): KubeObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadataOf(box, budgetName(box.name)),
    spec: {
      maxUnavailable: box.evictable ? 1 : 0,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: { [boxLabel]: box.name } },
    },
  };
}
