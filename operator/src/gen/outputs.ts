// Everything that is made from the schemas and tables of the code. Written by `npm run gen`, compared by a test.
import { type MetricDefinition, metricList } from "@nexus-federation/node/telemetry/metrics.ts";
import { stringify } from "yaml";
import { type KindInfo, kindNames, kinds } from "../api/kinds.ts";
import { crdOf } from "./crd.ts";
import { errorsPage, metricsPage, resourcesPage } from "./reference.ts";

/** Text by path from the root of the checkout. */
export function generated(): Map<string, string> {
  const files = new Map<string, string>();
  for (const kind of kindNames) {
    const info = kinds[kind] as KindInfo;
    const yaml = stringify(crdOf(info), { lineWidth: 0, aliasDuplicateObjects: false });
    files.set(`crds/${info.plural}.yaml`, `# Made by npm run gen from operator/src/api. Do not edit.\n${yaml}`);
  }
  files.set("docs/reference/resources.md", resourcesPage());
  files.set("docs/reference/errors.md", errorsPage());
  files.set("docs/reference/metrics.md", metricsPage(Object.values(metricList) as readonly MetricDefinition[]));
  return files;
}
