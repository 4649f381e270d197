import { rawMethod } from "./raw.ts";

/** Binary metadata of every bulk call: the caller's Handshake. */
export const handshakeKey = "nexus-handshake-bin";

export const bulkMethods = {
  snapshot: rawMethod("/nexus.v1.Peer/Snapshot", { request: true, response: false }),
  putChunk: rawMethod("/nexus.v1.Peer/PutChunk", { request: true, response: false }),
  getChunk: rawMethod("/nexus.v1.Peer/GetChunk", { request: false, response: true }),
};
