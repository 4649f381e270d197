import { nameLengthMax, namePattern } from "../api/fields.ts";
import { apiGroup, type KindInfo } from "../api/kinds.ts";
import { type Json, structuralOf } from "./structural.ts";

/** Path of a list or map through `spec`, as CEL's fieldPath wants it; undefined where the field may be absent. */
const fieldPath = (field: string) => `.${field}`;

/** The CustomResourceDefinition of a kind. */
export function crdOf(info: KindInfo): Json {
  const { kind, plural, shortName, purpose } = info;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${apiGroup}` },
    spec: {
      group: apiGroup,
      scope: "Namespaced",
      // A short name that is the singular already needs no second mention.
      names: {
        kind,
        plural,
        singular: kind.toLowerCase(),
        listKind: `${kind}List`,
        categories: ["nexus"],
        ...(shortName === kind.toLowerCase() ? {} : { shortNames: [shortName] }),
      },
      versions: [
        {
          name: "v1alpha1",
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: info.columns,
          schema: { openAPIV3Schema: rootOf(info, purpose) },
        },
      ],
    },
  };
}

function rootOf(info: KindInfo, description: string): Json {
  const spec = structuralOf(info.spec);
  const rules = (info.rules as { field: string; cel: string; sentence: string }[]).map(({ field, cel, sentence }) => ({
    rule: cel,
    message: sentence,
    fieldPath: fieldPath(field),
  }));
  if (rules.length > 0) spec["x-kubernetes-validations"] = rules;
  return {
    type: "object",
    description,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec,
      status: structuralOf(info.status),
    },
    "x-kubernetes-validations": nameRules(info.kind),
  };
}

function nameRules(kind: string): Json[] {
  const rules: Json[] = [
    {
      rule: `self.metadata.name.size() <= ${nameLengthMax} && self.metadata.name.matches('${namePattern.source}')`,
      message: `metadata.name is a lower-case DNS label of at most ${nameLengthMax} characters, letter first.`,
    },
  ];
  if (kind === "Federation")
    rules.push({ rule: "self.metadata.name == 'federation'", message: "The Federation is always named federation." });
  if (kind === "ConsensusZone")
    rules.push({
      rule: "self.metadata.name != 'system'",
      message: "The name system belongs to the zone of rules and boxes.",
    });
  return rules;
}
