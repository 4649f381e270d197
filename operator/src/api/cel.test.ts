import { Environment } from "@marcbachmann/cel-js";
import { expect, test } from "vitest";
import { quantityBytes } from "./duration.ts";
import { type Kind, kinds } from "./kinds.ts";
import { accepted, refused } from "./testing/table.ts";

// CEL as the API server evaluates it: what Kubernetes adds to the language and the rules use is added here.
class Quantity {
  readonly bytes: number;
  constructor(text: string) {
    this.bytes = quantityBytes(text);
  }
}
const cel = new Environment({ unlistedVariablesAreDyn: true })
  .registerType("Quantity", Quantity)
  .registerFunction("quantity(string): Quantity", (text: string) => new Quantity(text))
  .registerFunction("Quantity.compareTo(Quantity): int", (a: Quantity, b: Quantity) =>
    BigInt(Math.sign(a.bytes - b.bytes)),
  );

/** As the API server has it: whole numbers are ints, absent fields are not there. */
function celValue(value: unknown): unknown {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([key, field]) => [key, celValue(field)]));
}

interface AnyRule {
  field: string;
  cel: string;
  transition?: true;
  holds: (self: object, old: object) => boolean;
}
const rulesOf = (kind: Kind) => kinds[kind].rules as unknown as AnyRule[];

const more: [Kind, object][] = [
  ["Federation", { trustDomain: "acme", tls: { source: "CertManager" } }],
  ["Federation", { trustDomain: "acme", tls: { source: "CertManager", issuerRef: { name: "x" } } }],
  ["Federation", { trustDomain: "beta", tls: { source: "Operator", issuerRef: { name: "x" } } }],
  ["Box", { region: "eu", storage: { size: "20Gi" } }],
  ["Box", { region: "eu", storage: { size: "21000M", storageClassName: "fast" } }],
  ["Box", { region: "us", cluster: "far", service: { type: "ClusterIP", loadBalancerClass: "x" } }],
  ["RaftGroup", { members: "abcdefgh".split("").map((box) => ({ box })), timing: { profile: "wan" } }],
  ["RaftGroup", { members: [{ box: "a" }], timing: { profile: "wan", electionTimeout: "1s" } }],
  ["RaftGroup", { members: [{ box: "a" }], system: true, bootstrapBox: "other" }],
  ["RaftGroup", { members: [{ box: "a" }], timing: { electionTimeout: "1500ms", heartbeatInterval: "1m30s" } }],
  ["RaftGroup", { members: ["Voter", "Voter", "Witness", "Witness"].map((role, i) => ({ box: `b${i}`, role })) }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "quorum", replicas: ["a"] }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "strong", authorityBox: "a", quorum: { read: 1, write: 1 } }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "strong", authorityBox: "a", staleReadMaxAge: "1s" }],
  [
    "ConsensusZone",
    { pathPattern: "/b/**", mode: "quorum", replicas: ["a"], quorum: { read: 1, write: 1 }, readPreference: "local" },
  ],
  [
    "ConsensusZone",
    { pathPattern: "/b/**", mode: "quorum", replicas: ["a"], quorum: { read: 1, write: 1 }, writeConcern: "all" },
  ],
  [
    "ConsensusZone",
    {
      pathPattern: "/b/**",
      mode: "eventual",
      writers: "any",
      replicas: ["a"],
      recovery: { fromBox: "a", zone: "x", groupUID: "u", epoch: 1, abandonedIncarnations: [], acceptDataLoss: true },
    },
  ],
  ["ConsensusZone", { pathPattern: "/zone:x/**", mode: "strong", authorityBox: "a", readPreference: "leader" }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "strong_ha", raftGroup: "g", writeConcern: "authority" }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "strong_ha", raftGroup: "g", readPreference: "authority" }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "eventual", authorityBox: "a", conflict: "lww" }],
  ["ConsensusZone", { pathPattern: "/b/**", mode: "eventual", writers: "any", replicas: ["a"], locks: "refuse" }],
  ["Mount", { path: "/other", zone: "else" }],
];

/** Every spec of the kind that its schema takes, with defaults as the API server fills them in before it evaluates. */
function specsOf(kind: Kind): object[] {
  const rows = [...accepted.map(([, of, spec]) => [of, spec]), ...refused.map(([, of, spec]) => [of, spec]), ...more];
  return rows.flatMap(([of, spec]) => {
    const parsed = of === kind ? kinds[kind].spec.safeParse(spec) : undefined;
    return parsed?.success ? [parsed.data as object] : [];
  });
}

test.each(Object.keys(kinds) as Kind[])("%s: the CEL text and the predicate of each rule agree", (kind) => {
  const specs = specsOf(kind);
  for (const rule of rulesOf(kind)) {
    const program = cel.parse(rule.cel);
    const seen = new Set<unknown>();
    for (const self of specs) {
      for (const old of rule.transition ? specs : [self]) {
        const said = program({ self: celValue(self), oldSelf: celValue(old) });
        const shown = `${rule.field}: ${rule.cel}\n${JSON.stringify(self)}\n${JSON.stringify(old)}`;
        expect(said, shown).toBe(rule.holds(self, old));
        seen.add(said);
      }
    }
    expect([...seen].sort(), `${rule.field}: some spec keeps and some breaks ${rule.cel}`).toEqual([false, true]);
  }
});
