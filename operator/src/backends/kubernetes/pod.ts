// The pod of a box: restricted Pod Security, read-only root, no token of a service account unless it checks those of others.
import { createHash } from "node:crypto";
import { apiGroup } from "../../api/kinds.ts";
import { boxPorts, imageUser } from "../shared/container.ts";
import { podPaths } from "./config.ts";
import type { BoxModel } from "./model.ts";
import {
  accessName,
  boxAccountName,
  certificateName,
  configName,
  federationLabel,
  labelsOf,
  volumeClaimName,
} from "./names.ts";
import { containerName, merged } from "./pod-template.ts";

type Json = Record<string, unknown>;

/**
 * Digest of what people asked of the pod. Only when it changes must a pod be replaced: a newer operator may make other
 * pods without restarting one.
 */
export const askedAnnotation = `${apiGroup}/asked`;

export function askedOf(box: BoxModel): string {
  const { federation, spec, image, pullPolicy, pullSecrets, volumeUid } = box;
  const asked = [
    federation,
    image,
    pullPolicy,
    pullSecrets,
    volumeUid,
    spec.role,
    spec.podTemplate ?? {},
    ...(box.audience === undefined ? [] : [{ audience: box.audience }]),
  ];
  return createHash("sha256").update(JSON.stringify(asked)).digest("hex").slice(0, 16);
}

/** A box ends within 5 s; the rest is for a disk that is slow to close. */
const graceSeconds = 30;

const dataResources = {
  requests: { cpu: "100m", memory: "256Mi" },
  limits: { cpu: "2", memory: "1Gi" },
};
/** Its image says the flags with which it lives within 64 MiB. */
const witnessResources = {
  requests: { cpu: "10m", memory: "48Mi" },
  limits: { cpu: "500m", memory: "64Mi" },
};

/** `template` of the StatefulSet. */
export function podTemplateOf(box: BoxModel): Json {
  const { name, spec, federation } = box;
  const given = spec.podTemplate;
  const labels = labelsOf(federation, { name, role: spec.role });
  const annotations = {
    "kubectl.kubernetes.io/default-container": containerName,
    [askedAnnotation]: askedOf(box),
  };
  return {
    metadata: {
      labels: { ...given?.metadata?.labels, ...labels },
      annotations: { ...given?.metadata?.annotations, ...annotations },
    },
    spec: merged(podSpecOf(box), given?.spec),
  };
}

function podSpecOf(box: BoxModel): Json {
  return {
    terminationGracePeriodSeconds: graceSeconds,
    automountServiceAccountToken: false,
    ...(asksTheApi(box) ? { serviceAccountName: boxAccountName } : {}),
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: imageUser,
      runAsGroup: imageUser,
      fsGroup: imageUser,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    affinity: { podAntiAffinity: apartFrom(box.federation) },
    ...(box.pullSecrets.length > 0 ? { imagePullSecrets: box.pullSecrets.map((name) => ({ name })) } : {}),
    containers: [containerOf(box)],
    volumes: volumesOf(box),
  };
}

/** Boxes of one federation on different hosts and in different zones where that is possible. */
function apartFrom(federation: string): Json {
  const term = (weight: number, topologyKey: string) => ({
    weight,
    podAffinityTerm: { topologyKey, labelSelector: { matchLabels: { [federationLabel]: federation } } },
  });
  return {
    preferredDuringSchedulingIgnoredDuringExecution: [
      term(100, "kubernetes.io/hostname"),
      term(50, "topology.kubernetes.io/zone"),
    ],
  };
}

function containerOf(box: BoxModel): Json {
  const witness = box.spec.role === "Witness";
  const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
    httpGet: { path, port: "health", scheme: "HTTP" },
    periodSeconds,
    failureThreshold,
    timeoutSeconds: 5,
    successThreshold: 1,
  });
  return {
    name: containerName,
    image: box.image,
    imagePullPolicy: box.pullPolicy,
    // Flags of Node stand in the image's entry point, where they are measured.
    args: ["--config", `${podPaths.config}/config.json`],
    env: [
      { name: "NEXUS_VOLUME_UID", value: box.volumeUid },
      { name: "NEXUS_METRICS_PORT", value: String(boxPorts.metrics) },
    ],
    ports: [
      ...(witness ? [] : [{ name: "client", containerPort: boxPorts.client, protocol: "TCP" }]),
      { name: "peer", containerPort: boxPorts.peer, protocol: "TCP" },
      { name: "health", containerPort: boxPorts.health, protocol: "TCP" },
      { name: "metrics", containerPort: boxPorts.metrics, protocol: "TCP" },
    ],
    // A long log may take minutes to be read; after that a loop that does not turn for three minutes is hung. Not less: a
    // node that is starved makes all its boxes late at once, and boxes that are killed for it are only later.
    startupProbe: probe("/healthz", 1, 300),
    livenessProbe: { ...probe("/healthz", 20, 9), timeoutSeconds: 20 },
    readinessProbe: probe("/readyz", 2, 2),
    resources: witness ? witnessResources : dataResources,
    // What it said last stands in the pod's status then, and from there in the Box's.
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "config", mountPath: podPaths.config, readOnly: true },
      { name: "tls", mountPath: podPaths.tls, readOnly: true },
      ...(witness ? [] : [{ name: "access", mountPath: podPaths.access, readOnly: true }]),
      { name: "data", mountPath: podPaths.data },
      ...(asksTheApi(box) ? [{ name: "api", mountPath: podPaths.api, readOnly: true }] : []),
    ],
  };
}

/** A witness serves no clients. */
function asksTheApi({ audience, spec }: BoxModel): boolean {
  return audience !== undefined && spec.role === "Data";
}

/** What automountServiceAccountToken would mount, readable by the container's user, and only that. */
const apiVolume = {
  name: "api",
  projected: {
    defaultMode: 0o440,
    sources: [
      { serviceAccountToken: { path: "token", expirationSeconds: 3607 } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    ],
  },
};

function volumesOf(box: BoxModel): Json[] {
  const { name, spec } = box;
  const defaultMode = 0o440;
  return [
    { name: "config", configMap: { name: configName(name), defaultMode } },
    { name: "tls", secret: { secretName: certificateName(name), defaultMode } },
    ...(spec.role === "Witness" ? [] : [{ name: "access", secret: { secretName: accessName, defaultMode } }]),
    { name: "data", persistentVolumeClaim: { claimName: volumeClaimName(name) } },
    ...(asksTheApi(box) ? [apiVolume] : []),
  ];
}
