import * as z from "zod";
import { mountPath, resourceName, revision, stateField } from "./fields.ts";

export const mountSpec = z.strictObject({
  revision: revision(),
  state: stateField(),
  path: mountPath().describe("Where the zone's root appears in the tree. Immutable."),
  zone: resourceName().describe("The ConsensusZone whose root is shown. Immutable."),
  access: z
    .enum(["ReadWrite", "ReadOnly"])
    .default("ReadWrite")
    .describe("ReadWrite (default): as the zone's own rights allow. ReadOnly: writes through this mount are refused."),
});
export type MountSpec = z.output<typeof mountSpec>;
