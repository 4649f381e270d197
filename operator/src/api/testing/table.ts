// Specs that one object alone shows to be good or bad: what every reader of the rules must agree on.
import { type Kind, kinds } from "../kinds.ts";

export const zone = (more: object) => ({ pathPattern: "/a/**", ...more });
const tokenReview = (account: object) => ({ trustDomain: "acme", auth: { tokenReview: { accounts: [account] } } });
const group = (...roles: string[]) => ({ members: roles.map((role, index) => ({ box: `b${index}`, role })) });

export const accepted: [string, Kind, object][] = [
  ["strong with learners", "ConsensusZone", zone({ mode: "strong", authorityBox: "a", replicas: ["b"] })],
  [
    "strong_ha",
    "ConsensusZone",
    zone({ mode: "strong_ha", raftGroup: "g", writeConcern: "all", readPreference: "nearest" }),
  ],
  [
    "eventual with lock upgrade",
    "ConsensusZone",
    zone({ mode: "eventual", authorityBox: "a", locks: "upgrade", staleReadMaxAge: "10s" }),
  ],
  [
    "eventual with any writer",
    "ConsensusZone",
    zone({ mode: "eventual", writers: "any", replicas: ["a", "b"], conflict: "lww" }),
  ],
  ["quorum", "ConsensusZone", zone({ mode: "quorum", replicas: ["a", "b", "c"], quorum: { read: 2, write: 2 } })],
  ["pattern with a middle star", "ConsensusZone", { pathPattern: "/*/locks/*", mode: "strong", authorityBox: "a" }],
  ["two voters and a witness", "RaftGroup", group("Voter", "Voter", "Witness", "Learner")],
  ["system group", "RaftGroup", { ...group("Voter"), system: true, bootstrapBox: "b0" }],
  [
    "explicit timing",
    "RaftGroup",
    { ...group("Voter"), timing: { electionTimeout: "1s", heartbeatInterval: "100ms" } },
  ],
  [
    "service accounts with rights",
    "Federation",
    tokenReview({ account: "shop/app", grants: [{ prefix: "/shop/..x/.y", rights: ["read", "write"] }] }),
  ],
  [
    "all service accounts of a namespace",
    "Federation",
    tokenReview({ account: "shop/*", grants: [{ prefix: "/", rights: ["admin"] }] }),
  ],
  ["mount", "Mount", { path: "/global/shared", zone: "shared" }],
  ["witness box", "Box", { role: "Witness", region: "eu-west" }],
  [
    "box for Kubernetes",
    "Box",
    {
      region: "eu",
      podTemplate: { spec: { nodeSelector: { a: "b" } } },
      service: { type: "LoadBalancer", loadBalancerClass: "x" },
    },
  ],
];

/** With the fields that are blamed. */
export const refused: [string, Kind, object, string[]][] = [
  ["strong without authority", "ConsensusZone", zone({ mode: "strong" }), ["spec.authorityBox"]],
  ["strong_ha without group", "ConsensusZone", zone({ mode: "strong_ha" }), ["spec.raftGroup"]],
  [
    "strong_ha with replicas",
    "ConsensusZone",
    zone({ mode: "strong_ha", raftGroup: "g", replicas: ["a"] }),
    ["spec.replicas"],
  ],
  [
    "strong with writers",
    "ConsensusZone",
    zone({ mode: "strong", authorityBox: "a", writers: "authority" }),
    ["spec.writers"],
  ],
  ["strong with locks", "ConsensusZone", zone({ mode: "strong", authorityBox: "a", locks: "upgrade" }), ["spec.locks"]],
  [
    "any writer with an authority",
    "ConsensusZone",
    zone({ mode: "eventual", writers: "any", replicas: ["b"], authorityBox: "a" }),
    ["spec.authorityBox"],
  ],
  ["any writer without replicas", "ConsensusZone", zone({ mode: "eventual", writers: "any" }), ["spec.replicas"]],
  [
    "authority named as replica",
    "ConsensusZone",
    zone({ mode: "strong", authorityBox: "a", replicas: ["a"] }),
    ["spec.replicas"],
  ],
  [
    "W of half",
    "ConsensusZone",
    zone({ mode: "quorum", replicas: ["a", "b", "c", "d"], quorum: { read: 4, write: 2 } }),
    ["spec.quorum.write"],
  ],
  [
    "R + W too small",
    "ConsensusZone",
    zone({ mode: "quorum", replicas: ["a", "b", "c"], quorum: { read: 1, write: 2 } }),
    ["spec.quorum.read"],
  ],
  [
    "W above N",
    "ConsensusZone",
    zone({ mode: "quorum", replicas: ["a"], quorum: { read: 1, write: 2 } }),
    ["spec.quorum"],
  ],
  [
    "repeated replica",
    "ConsensusZone",
    zone({ mode: "strong", authorityBox: "a", replicas: ["b", "b"] }),
    ["spec.replicas[1]"],
  ],
  [
    "pattern without a star",
    "ConsensusZone",
    { pathPattern: "/a", mode: "strong", authorityBox: "a" },
    ["spec.pathPattern"],
  ],
  [
    "pattern with dots",
    "ConsensusZone",
    { pathPattern: "/../**", mode: "strong", authorityBox: "a" },
    ["spec.pathPattern"],
  ],
  [
    "duration without unit",
    "ConsensusZone",
    zone({ mode: "strong", authorityBox: "a", retention: "7" }),
    ["spec.retention"],
  ],
  ["witness beside one voter", "RaftGroup", group("Voter", "Witness"), ["spec.members"]],
  ["witness beside three voters", "RaftGroup", group("Voter", "Voter", "Voter", "Witness"), ["spec.members"]],
  ["no voter", "RaftGroup", group("Learner"), ["spec.members"]],
  ["no member", "RaftGroup", { members: [] }, ["spec.members"]],
  ["one box twice", "RaftGroup", { members: [{ box: "a" }, { box: "a" }] }, ["spec.members[1].box"]],
  ["system group without bootstrapBox", "RaftGroup", { ...group("Voter"), system: true }, ["spec.bootstrapBox"]],
  ["bootstrapBox without system", "RaftGroup", { ...group("Voter"), bootstrapBox: "b0" }, ["spec.bootstrapBox"]],
  ["half a timing", "RaftGroup", { ...group("Voter"), timing: { electionTimeout: "1s" } }, ["spec.timing"]],
  [
    "heartbeat above election",
    "RaftGroup",
    { ...group("Voter"), timing: { electionTimeout: "1s", heartbeatInterval: "2s" } },
    ["spec.timing.electionTimeout"],
  ],
  [
    "election below two beats",
    "RaftGroup",
    { ...group("Voter"), timing: { electionTimeout: "199ms", heartbeatInterval: "100ms" } },
    ["spec.timing.electionTimeout"],
  ],
  [
    "heartbeat below the clock's tick",
    "RaftGroup",
    { ...group("Voter"), timing: { electionTimeout: "1s", heartbeatInterval: "9ms" } },
    ["spec.timing.heartbeatInterval"],
  ],
  ["box without region", "Box", {}, ["spec.region"]],
  [
    "an account without its namespace",
    "Federation",
    tokenReview({ account: "app", grants: [{ prefix: "/", rights: ["read"] }] }),
    ["spec.auth.tokenReview.accounts[0].account"],
  ],
  [
    "an account without rights",
    "Federation",
    tokenReview({ account: "shop/app", grants: [] }),
    ["spec.auth.tokenReview.accounts[0].grants"],
  ],
  ...["/a/", "/a/../b", "/./a", "a", "//"].map((prefix): [string, Kind, object, string[]] => [
    `rights on ${prefix}`,
    "Federation",
    tokenReview({ account: "shop/app", grants: [{ prefix, rights: ["read"] }] }),
    ["spec.auth.tokenReview.accounts[0].grants[0].prefix"],
  ]),
  [
    "a right that does not exist",
    "Federation",
    tokenReview({ account: "shop/app", grants: [{ prefix: "/", rights: ["fly"] }] }),
    ["spec.auth.tokenReview.accounts[0].grants[0].rights[0]"],
  ],
  ["relative mount", "Mount", { path: "a", zone: "b" }, ["spec.path"]],
];

/** Further specs, good or bad: with the others, every rule of every kind has one that keeps and one that breaks it. */
const more: [Kind, object][] = [
  ["Federation", { trustDomain: "acme", tls: { source: "CertManager" } }],
  ["Federation", { trustDomain: "acme", tls: { source: "CertManager", issuerRef: { name: "x" } } }],
  ["Federation", { trustDomain: "beta" }],
  ["Federation", { trustDomain: "beta", tls: { source: "Operator", issuerRef: { name: "x" } } }],
  ["Box", { region: "eu", storage: { size: "20Gi" } }],
  ["Box", { region: "eu", storage: { size: "21000M", storageClassName: "fast" } }],
  ["Box", { region: "us", cluster: "far" }],
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
  [
    "ConsensusZone",
    {
      pathPattern: "/b/**",
      mode: "strong",
      authorityBox: "a",
      lost: { abandonedIncarnations: ["0"], acceptDataLoss: true },
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
export function specsOf(kind: Kind): object[] {
  const rows = [...accepted.map(([, of, spec]) => [of, spec]), ...refused.map(([, of, spec]) => [of, spec]), ...more];
  return rows.flatMap(([of, spec]) => {
    const parsed = of === kind ? kinds[kind].spec.safeParse(spec) : undefined;
    return parsed?.success ? [parsed.data as object] : [];
  });
}
