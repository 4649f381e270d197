// YAML of resources, short to write in scenarios.

const head = (kind: string, name: string) =>
  `apiVersion: federation.nexus.io/v1alpha1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: `;

export function box(name: string, more: { role?: "Data" | "Witness"; region?: string } = {}): string {
  return `${head("Box", name)}{ role: ${more.role ?? "Data"}, region: ${more.region ?? "local"} }\n`;
}

export function witness(name: string): string {
  return box(name, { role: "Witness" });
}

/** Members as "box" or "box:Role". */
export function group(name: string, members: string[], more = ""): string {
  const list = members.map((member) => {
    const [boxName, role = "Voter"] = member.split(":");
    return `{ box: ${boxName}, role: ${role} }`;
  });
  return `${head("RaftGroup", name)}{ members: [${list.join(", ")}]${more ? `, ${more}` : ""} }\n`;
}

/** A group that holds the system zone too; the first member writes the first entry. */
export function systemGroup(name: string, members: string[], bootstrapBox = members[0]!.split(":")[0]!): string {
  return group(name, members, `system: true, bootstrapBox: ${bootstrapBox}`);
}

export function zone(name: string, pattern: string, spec: string): string {
  return `${head("ConsensusZone", name)}{ pathPattern: "${pattern}", ${spec} }\n`;
}

export function documents(...parts: string[]): string {
  return parts.join("---\n");
}
