import { z } from "zod";
import { idPattern } from "../auth/identities.ts";
import { isRefusal, NexusError } from "../base/errors.ts";
import { type Contact, parseContacts } from "../discovery/bootstrap.ts";
import { logLevels } from "../telemetry/log.ts";

const port = z.number().int().min(0).max(65_535);
const name = z.string().regex(idPattern, "letters, digits, dot, dash and underscore");
const listener = z.strictObject({
  host: z.string().min(1).describe("Address to listen on."),
  port: port.describe("Port to listen on; 0 takes a free one."),
});

/** The configuration file of a data box. Read once; changes need a restart, certificates and tokens do not. */
const boxSettings = z.strictObject({
  federation: name.describe("Trust domain; part of every certificate's identity."),
  federationUid: z.string().max(64).default("").describe("Unused when empty; the disk's record decides otherwise."),
  box: name.describe("Name of this box; its certificate must carry it."),
  role: z.literal("Data").describe("A witness runs node/src/witness.ts instead."),
  region: z.string().min(1).max(253).describe("Where the box stands; shown in receipts."),
  cluster: z.string().max(253).default("default").describe("Whose operator runs the box."),
  dir: z.string().min(1).describe("Folder of log/, state/ and chunks/. An empty one is a new incarnation."),
  peer: listener.describe("Listener for boxes and operators; TLS 1.3 with client certificates."),
  client: listener.describe("Listener for clients: HTTP and gRPC on one port."),
  plainClient: z.boolean().default(false).describe("Client listener without TLS; refused beyond loopback."),
  tls: z
    .strictObject({ ca: z.string(), cert: z.string(), key: z.string() })
    .describe("Files ca.crt, tls.crt and tls.key of one folder; looked at every 10 s."),
  tokensFile: z.string().default("").describe("Table of bearer tokens by hash; empty = certificates only."),
  tokenReview: z
    .strictObject({
      url: z.string().startsWith("https://").max(512).describe("Root of the API server."),
      caFile: z.string().min(1).describe("Authority (PEM) of its certificate."),
      tokenFile: z.string().min(1).describe("Token that this box shows to it; read anew for each question."),
      audience: z.string().min(1).max(253).describe("Audience that clients' tokens must carry."),
    })
    .optional()
    .describe("Ask a Kubernetes API server about service account tokens. Rights are those of `users` in tokensFile."),
  peers: z
    .array(z.strictObject({ box: name, endpoint: z.string().min(3).max(255) }))
    .max(1_000)
    .default([])
    .describe("Where other boxes are before any rule map is known."),
  health: listener
    .optional()
    .describe("Plaintext port for the kubelet: /healthz and /readyz; and /metrics where `metrics` names no other."),
  metrics: listener
    .optional()
    .describe("Plaintext port for Prometheus: /metrics, which the health port has no more then."),
  volumeUid: z
    .string()
    .max(128)
    .default("")
    .describe("Uid of the volume under dir; content that was written under another one is put aside. Empty: not told."),
  log: z.enum(logLevels).default("info").describe("Least level that is logged."),
  controlPipe: z.boolean().default(false).describe("The box stops when its stdin ends."),
  diskReserveBytes: z
    .number()
    .int()
    .min(0)
    .default(256 * 1024 * 1024)
    .describe("Free space in bytes below which proposals are refused with DISK_FULL; reads and deletes go on."),
});
export type BoxSettings = Readonly<z.infer<typeof boxSettings>>;

const anywhere = "0.0.0.0";

type Environment = Record<string, string | undefined>;

/**
 * The file's JSON with what the environment sets (docs/reference/environment.md): NEXUS_BOX_ID, or NEXUS_RAFT_NODE_ID,
 * names the box, NEXUS_RAFT_PEERS lists other boxes, NEXUS_VOLUME_UID names the volume, NEXUS_METRICS_PORT opens a port
 * for metrics. Throws INVALID naming the field.
 */
export function readBoxSettings(json: unknown, environment: Environment): BoxSettings {
  const given = typeof json === "object" && json !== null ? { ...json } : {};
  const box = environment["NEXUS_BOX_ID"] || environment["NEXUS_RAFT_NODE_ID"];
  const peers = environment["NEXUS_RAFT_PEERS"];
  if (environment["NEXUS_RAFT_ENABLED"] === "false")
    throw new NexusError(
      "INVALID",
      "NEXUS_RAFT_ENABLED: every box replicates by Raft; false cannot be had, leave it out",
    );
  const volumeUid = environment["NEXUS_VOLUME_UID"];
  const metricsPort = environment["NEXUS_METRICS_PORT"];
  const merged = {
    ...given,
    ...(box ? { box } : {}),
    ...(peers ? { peers: contactsOf(peers) } : {}),
    ...(volumeUid ? { volumeUid } : {}),
    ...(metricsPort ? { metrics: { host: anywhere, port: Number(metricsPort) } } : {}),
  };
  const parsed = boxSettings.safeParse(merged);
  if (parsed.success) return Object.freeze(parsed.data);
  const issue = parsed.error.issues[0];
  throw new NexusError(
    "INVALID",
    `configuration: ${issue?.path.join(".") || "file"}: ${issue?.message ?? "unreadable"}`,
  );
}

function contactsOf(text: string): Contact[] {
  const contacts = parseContacts(text);
  if (isRefusal(contacts)) throw new NexusError(contacts.code, contacts.message);
  return contacts;
}
