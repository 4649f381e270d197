import * as z from "zod";
import { anyObject, endpoint, quantity, resourceName, stringMap, text } from "./fields.ts";

export const boxSpec = z.strictObject({
  role: z
    .enum(["Data", "Witness"])
    .default("Data")
    .describe(
      "Data: stores and serves (default). Witness: votes only, stores under 100 bytes a group, may serve many groups. Immutable.",
    ),
  cluster: resourceName()
    .default("default")
    .describe(
      "The cluster whose operator runs this box; others only reflect it. Default `default`. Immutable. Local processes run every box whatever it says.",
    ),
  region: text(63).describe(
    "Place of the box, such as cn-shanghai. Receipts name it and zones may be bound to it. Immutable.",
  ),
  image: text(512)
    .optional()
    .describe(
      "Image of this box. Default: Federation.image, else the version pinned when the box was created, so that upgrading the operator restarts no data node.",
    ),
  endpoints: z
    .strictObject({
      peer: endpoint()
        .optional()
        .describe("host:port at which other boxes reach it. Default: the cluster's peerAddressTemplate."),
      client: endpoint()
        .optional()
        .describe("host:port at which clients reach it. Default: the cluster's clientAddressTemplate."),
    })
    .optional()
    .describe("Addresses of the box from outside. Ignored by local processes, which use loopback."),
  storage: z
    .strictObject({
      size: quantity().default("20Gi").describe("Size of the volume. Default 20Gi. It can only grow."),
      storageClassName: z
        .string()
        .max(253)
        .default("")
        .describe(
          "Storage class of the volume. Default empty: the cluster's default class. Immutable. Ignored by local processes.",
        ),
    })
    .default({ size: "20Gi", storageClassName: "" })
    .describe("The box's one volume."),
  blobs: z
    .strictObject({
      type: z
        .literal("local")
        .default("local")
        .describe("Where chunks of large files lie: local, on the box's volume."),
    })
    .default({ type: "local" })
    .describe("Store of large content. Default local."),
  service: z
    .strictObject({
      type: z
        .enum(["ClusterIP", "NodePort", "LoadBalancer"])
        .default("ClusterIP")
        .describe("Type of the client and peer Services. Default ClusterIP."),
      annotations: stringMap({ entriesMax: 32, valueLengthMax: 1024 })
        .optional()
        .describe("Annotations of the Services. Default none."),
      loadBalancerClass: text(253)
        .optional()
        .describe("Class of the load balancer. Default: the cluster's. Only with type LoadBalancer."),
    })
    .optional()
    .describe("How the box's Services are made. Ignored by local processes."),
  podTemplate: z
    .strictObject({
      metadata: z
        .strictObject({
          labels: stringMap({ entriesMax: 32, valueLengthMax: 63 }).optional().describe("Labels added to the pod."),
          annotations: stringMap({ entriesMax: 32, valueLengthMax: 1024 })
            .optional()
            .describe("Annotations added to the pod."),
        })
        .optional()
        .describe("Metadata merged into the pod."),
      spec: anyObject()
        .optional()
        .describe(
          "A pod spec merged into the pod's. Fields that the operator needs are refused by name. Kubernetes checks the rest.",
        ),
    })
    .optional()
    .describe("What to merge into the pod. Default nothing. Ignored by local processes."),
});
export type BoxSpec = z.output<typeof boxSpec>;
