// Which rights of a role the calls to an API server used.
interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

/** `VERB GROUP/RESOURCE` of each right that the rules give. */
export function rightsGiven(rules: readonly Rule[]): string[] {
  const given = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`))),
  );
  return [...new Set(given)].sort();
}

/** The same of calls, each `METHOD path?query`. An apply may create, and the server asks for that right then. */
export function rightsUsed(calls: readonly string[]): Set<string> {
  const used = new Set<string>();
  for (const call of calls) {
    const [method = "", url = ""] = call.split(" ");
    const { pathname, searchParams } = new URL(url, "https://server");
    const [root, ...parts] = pathname.slice(1).split("/");
    const group = root === "api" ? "" : parts.shift();
    parts.shift();
    if (parts[0] === "namespaces" && parts.length > 2) parts.splice(0, 2);
    const [plural, name, subresource] = parts;
    const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
    for (const verb of verbsOf(method, { isNamed: name !== undefined, isWatch: searchParams.has("watch") }))
      used.add(`${verb} ${group}/${resource}`);
  }
  return used;
}

function verbsOf(method: string, { isNamed, isWatch }: { isNamed: boolean; isWatch: boolean }): string[] {
  switch (method) {
    case "GET":
      return [isNamed ? "get" : isWatch ? "watch" : "list"];
    case "POST":
      return ["create"];
    case "PUT":
      return ["update"];
    case "PATCH":
      return ["patch", "create"];
    default:
      return ["delete"];
  }
}
