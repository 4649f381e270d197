// Everything that is made from the schemas and tables of the code. Written by `npm run gen`, compared by a test.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { MetricDefinition } from "@nexus-federation/node/telemetry/metric-definition.ts";
import { metricList } from "@nexus-federation/node/telemetry/metrics.ts";
import { parse, stringify } from "yaml";
import { type KindInfo, kindNames, kinds } from "../api/kinds.ts";
import { runtimeMetricList } from "../runtime/metrics.ts";
import { crdOf } from "./crd.ts";
import { dashboard } from "./dashboard.ts";
import { dockerfiles } from "./dockerfiles.ts";
import { clusterRights, federationRights, rbacRules } from "./rbac.ts";
import { errorsPage, metricsPage, resourcesPage } from "./reference.ts";
import { valuesPage, valuesSchema } from "./values.ts";

const valuesFile = resolve(import.meta.dirname, "../../../charts/nexus/values.yaml");

/** Text by path from the root of the checkout. */
export function generated(): Map<string, string> {
  const files = new Map<string, string>();
  for (const kind of kindNames) {
    const info = kinds[kind] as KindInfo;
    const crd = crdOf(info);
    files.set(`crds/${info.plural}.yaml`, made(crd));
    files.set(`charts/nexus/files/crds/${info.plural}.yaml`, made(keptByHelm(crd)));
  }
  files.set("charts/nexus/files/dashboard.json", dashboard());
  files.set("charts/nexus/values.schema.json", valuesSchema());
  files.set("docs/reference/helm.md", valuesPage(parse(readFileSync(valuesFile, "utf8"))));
  files.set("charts/nexus/files/rbac/federation.yaml", rbacRules(federationRights));
  files.set("charts/nexus/files/rbac/cluster.yaml", rbacRules(clusterRights));
  for (const [name, text] of dockerfiles()) files.set(name, text);
  files.set("docs/reference/resources.md", resourcesPage());
  files.set("docs/reference/errors.md", errorsPage());
  files.set(
    "docs/reference/metrics.md",
    metricsPage({
      boxes: Object.values(metricList) as readonly MetricDefinition[],
      operator: Object.values(runtimeMetricList) as readonly MetricDefinition[],
    }),
  );
  return files;
}

function made(object: object): string {
  const yaml = stringify(object, { lineWidth: 0, aliasDuplicateObjects: false });
  return `# Made by npm run gen from operator/src/api. Do not edit.\n${yaml}`;
}

/** Uninstalling the chart must not delete definitions: all resources, and with them all data, would go too. */
function keptByHelm(crd: ReturnType<typeof crdOf>): object {
  const { apiVersion, kind, metadata, ...rest } = crd as { apiVersion: string; kind: string; metadata: object };
  return { apiVersion, kind, metadata: { ...metadata, annotations: { "helm.sh/resource-policy": "keep" } }, ...rest };
}
