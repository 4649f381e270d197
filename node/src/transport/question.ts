import type { RequestFrame } from "@nexus-federation/proto/request.ts";

/** A request that any box answers at once, whatever it holds; asked of a box that may hang (base/silence.ts). */
export function areYouThere(id: number): RequestFrame {
  return {
    requests: [{ id, options: undefined, zone: "", op: { $case: "hasChunks", value: { log: 0, addresses: [] } } }],
  };
}
