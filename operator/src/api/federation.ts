import * as z from "zod";
import { accountName, mapList, pathPrefix, resourceName, setList, text } from "./fields.ts";

const template = (what: string) =>
  text(253)
    .optional()
    .describe(
      `Address of ${what} of a box of this cluster, "host:port", with {box} for the box's name. Default: the Service inside the cluster. A box without endpoints uses it.`,
    );

const cluster = z
  .strictObject({
    name: resourceName().describe("Name of the cluster, as its operator's --cluster flag says."),
    region: text(63).describe("Region in which the cluster stands, such as cn-shanghai."),
    peerAddressTemplate: template("the peer port (2027)"),
    clientAddressTemplate: template("the client port (2026)"),
    caBundle: text(65_536)
      .optional()
      .describe(
        "Public certificates (PEM) of the cluster's authority. It is trusted for boxes of this cluster only. Default: none, so other clusters refuse its boxes.",
      ),
  })
  .describe("One Kubernetes cluster of the federation.");

const serviceAccount = z
  .strictObject({
    account: accountName().describe("NAMESPACE/NAME of the service account, or NAMESPACE/* for all of a namespace."),
    grants: z
      .array(
        z.strictObject({
          prefix: pathPrefix().describe("Path that the rights cover with everything below it; / is the whole tree."),
          rights: setList(z.enum(["read", "write", "lock", "admin"]), { min: 1, max: 4 }).describe(
            "What may be done. admin includes the others; on / it opens the admin service.",
          ),
        }),
      )
      .min(1)
      .max(32)
      .describe("Rights by path; those of several grants, and of NAMESPACE/*, add up."),
  })
  .describe("Rights of a service account.");

export const federationSpec = z.strictObject({
  trustDomain: resourceName().describe(
    "Name of the federation in every certificate (spiffe://<trustDomain>/box/<name>). Immutable: identities carry it for life. Without a Federation resource: the namespace, locally `default`.",
  ),
  clusters: mapList(cluster, "name", { max: 64 })
    .default([])
    .describe(
      "The clusters that run boxes. Default: none listed, one cluster. From two on, every declaration needs `revision`.",
    ),
  image: z
    .strictObject({
      node: text(512)
        .optional()
        .describe("Image of data nodes. Default: the operator's own version, pinned when a box is created."),
      witness: text(512)
        .optional()
        .describe("Image of witnesses. Default: the operator's own version, pinned when created."),
      pullPolicy: z
        .enum(["Always", "IfNotPresent", "Never"])
        .default("IfNotPresent")
        .describe("When the kubelet pulls. Default IfNotPresent."),
    })
    .optional()
    .describe("Images for boxes that name none. Ignored by local processes."),
  tls: z
    .strictObject({
      source: z
        .enum(["Operator", "CertManager", "Secret"])
        .default("Operator")
        .describe(
          "Who issues certificates: Operator (its own authority, default), CertManager (issuerRef), Secret (given by you, reloaded when changed).",
        ),
      issuerRef: z
        .strictObject({
          name: text(253).describe("Name of the cert-manager issuer."),
          kind: z.enum(["Issuer", "ClusterIssuer"]).default("Issuer").describe("Its kind. Default Issuer."),
        })
        .optional()
        .describe("The cert-manager issuer; only with source CertManager, and required there."),
    })
    .optional()
    .describe("Certificates. Default: the operator's own authority."),
  auth: z
    .strictObject({
      tokenReview: z
        .strictObject({
          audience: text(253)
            .default("nexus")
            .describe("Audience that service account tokens must carry; any other token is refused. Default nexus."),
          accounts: mapList(serviceAccount, "account", { max: 256 })
            .default([])
            .describe("Who may do what, in force within seconds. Default: nobody anything; a known account is DENIED."),
        })
        .optional()
        .describe(
          "Accept Kubernetes service account tokens: boxes ask the API server (TokenReview) and keep its answer for a minute. Setting or removing it restarts the boxes one by one. Local processes ignore it. Default: not accepted.",
        ),
    })
    .optional()
    .describe("Who may come in besides certificates and static tokens."),
});
export type FederationSpec = z.output<typeof federationSpec>;
