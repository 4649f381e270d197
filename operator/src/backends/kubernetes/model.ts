// A box as the manifests need it: the resource with everything that other objects decide filled in.
import type { BoxSpec } from "../../api/box.ts";

export interface BoxModel {
  name: string;
  namespace: string;
  /** Uid of the Box object. */
  uid: string;
  federation: string;
  spec: BoxSpec;
  image: string;
  pinnedImage: string;
  pullPolicy: "Always" | "IfNotPresent" | "Never";
  pullSecrets: readonly string[];
  /** Uid of its volume claim, so that the node knows when the disk under it is another. */
  volumeUid: string;
  /** Stopped boxes keep everything but their pod. */
  stopped: boolean;
  /** Its pod may be evicted now. */
  evictable: boolean;
  /** Audience of service account tokens that it is to accept; undefined: none are. */
  audience: string | undefined;
  /** Where other boxes are before any rule map is known. */
  peers: readonly { box: string; endpoint: string }[];
}
