// Resources as tests write them.
import { checkObject, printPath } from "../../api/check.ts";
import { apiVersion, type Kind, type Resource } from "../../api/kinds.ts";
import { type Declared, type Desired, desiredOf } from "../desired.ts";

export function resource(kind: Kind, name: string, spec: object, annotations: Record<string, string> = {}): Resource {
  const checked = checkObject({ apiVersion, kind, metadata: { name, annotations }, spec });
  if ("faults" in checked)
    throw new Error(
      checked.faults.map((fault) => `${kind}/${name} ${printPath(fault.path)} ${fault.reason}`).join("; "),
    );
  return checked.resource;
}

export const box = (name: string, more: object = {}) => resource("Box", name, { region: "here", ...more });
export const witness = (name: string) => box(name, { role: "Witness" });

export function group(
  name: string,
  voters: string[],
  more: { witness?: string; learners?: string[]; system?: boolean } = {},
): Resource {
  const members = [
    ...voters.map((each) => ({ box: each, role: "Voter" })),
    ...(more.witness ? [{ box: more.witness, role: "Witness" }] : []),
    ...(more.learners ?? []).map((each) => ({ box: each, role: "Learner" })),
  ];
  return resource("RaftGroup", name, { members, ...(more.system ? { system: true, bootstrapBox: "a" } : {}) });
}

export const zone = (name: string, spec: object) =>
  resource("ConsensusZone", name, { pathPattern: `/${name}/**`, ...spec });

export function desired(...resources: Resource[]): Desired {
  return desiredOf("test", resources.map(inForce));
}

export function inForce(each: Resource): Declared {
  return { resource: each, endedAtMs: 0, deleted: false };
}
