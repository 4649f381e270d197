// What a person adds to a pod, merged into what the operator decides. Lists of named things (containers, volumes,
// environment) are merged by name; what the operator needs is refused by name, never overwritten in silence.
import { apiGroup } from "../../api/kinds.ts";

type Json = Record<string, unknown>;

export const containerName = "nexus";

/** Keys by which Kubernetes tells the items of a list apart. */
const keysOfLists: Record<string, string> = {
  containers: "name",
  initContainers: "name",
  volumes: "name",
  env: "name",
  volumeMounts: "mountPath",
  ports: "containerPort",
  imagePullSecrets: "name",
  tolerations: "key",
};

/** Fields of the pod that are the operator's. */
const podFields = ["hostname", "subdomain", "nodeName", "restartPolicy", "serviceAccountName", "hostNetwork"];
/** Fields of the container `nexus` that are the operator's. */
const containerFields = [
  "image",
  "imagePullPolicy",
  "command",
  "args",
  "workingDir",
  "ports",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
];
const ownVolumes = ["config", "tls", "access", "data", "api", "identity"];
const ownPrefix = `${apiGroup}/`;

interface Given {
  metadata?:
    | { labels?: Record<string, string> | undefined; annotations?: Record<string, string> | undefined }
    | undefined;
  spec?: Json | undefined;
}

/** Paths that are refused, from `podTemplate` on; empty when all may be merged. */
export function refusedFields(template: Given): string[] {
  const refused: string[] = [];
  const { metadata, spec = {} } = template;
  for (const part of ["labels", "annotations"] as const)
    for (const name of Object.keys(metadata?.[part] ?? {}))
      if (name.startsWith(ownPrefix) || name.startsWith("app.kubernetes.io/")) refused.push(`metadata.${part}.${name}`);
  for (const field of podFields) if (field in spec) refused.push(`spec.${field}`);
  for (const volume of listOf(spec["volumes"]))
    if (ownVolumes.includes(String(volume["name"]))) refused.push(`spec.volumes[${String(volume["name"])}]`);
  for (const container of listOf(spec["containers"])) {
    if (container["name"] !== containerName) continue;
    for (const field of containerFields)
      if (field in container) refused.push(`spec.containers[${containerName}].${field}`);
    for (const variable of listOf(container["env"]))
      if (String(variable["name"]).startsWith("NEXUS_"))
        refused.push(`spec.containers[${containerName}].env[${String(variable["name"])}]`);
  }
  return refused;
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

/** `own` with everything of `given` added; where both say something, `given` wins (it was checked before). */
export function merged(own: unknown, given: unknown, field = ""): unknown {
  if (given === undefined) return own;
  if (Array.isArray(own) && Array.isArray(given)) return mergedLists(own, given, field);
  if (!isMap(own) || !isMap(given)) return given;
  const out: Json = { ...own };
  for (const [name, value] of Object.entries(given)) out[name] = merged(own[name], value, name);
  return out;
}

function mergedLists(own: unknown[], given: unknown[], field: string): unknown[] {
  const key = keysOfLists[field];
  if (key === undefined) return given;
  const out = [...own];
  for (const item of given) {
    const at = out.findIndex((each) => isMap(each) && isMap(item) && each[key] === item[key]);
    if (at < 0) out.push(item);
    else out[at] = merged(out[at], item, "");
  }
  return out;
}

function isMap(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
