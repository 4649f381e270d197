// What is inside each program, as CycloneDX: npm's own list for the checkout, cut down to the packages whose files the
// bundler really took. A list of the whole checkout would name test tools that no image holds.
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { must } from "../e2e/cluster/programs.ts";

const root = resolve(import.meta.dirname, "..");

interface Component {
  name: string;
  group?: string;
  "bom-ref": string;
}

export interface Bill {
  metadata: { component: { name: string; "bom-ref": string }; timestamp?: string };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

/** npm's list of everything installed that is needed to run. */
export async function wholeBill(): Promise<Bill> {
  const command = ["npm", "sbom", "--sbom-format=cyclonedx", "--omit=dev"];
  return JSON.parse(await must(command, { cwd: root, env: { npm_config_loglevel: "error" } }));
}

/** The part of the bill that the program consists of, under its name. */
export function billOf(whole: Bill, program: string, packages: ReadonlySet<string>): Bill {
  const components = whole.components.filter((component) => packages.has(nameOf(component)));
  const refs = new Set(components.map((component) => component["bom-ref"]));
  return {
    ...whole,
    metadata: { ...whole.metadata, component: { ...whole.metadata.component, name: `nexus-${program}` } },
    components,
    dependencies: whole.dependencies
      .filter((row) => refs.has(row.ref))
      .map((row) => ({ ref: row.ref, dependsOn: row.dependsOn.filter((ref) => refs.has(ref)) })),
  };
}

export function writeBill(path: string, bill: Bill): void {
  writeFileSync(path, `${JSON.stringify(bill, null, 2)}\n`);
}

/** The package that a path of the bundle's inputs belongs to. */
export function packageOf(input: string): string | undefined {
  return /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(input)?.[1];
}

function nameOf(component: Component): string {
  return component.group ? `${component.group}/${component.name}` : component.name;
}
