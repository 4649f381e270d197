import { WitnessBatch, WitnessBatchReply, type WitnessRequest } from "@nexus-federation/proto/raft.ts";
import type { ServeHandler } from "../transport/ports.ts";
import type { WitnessServer } from "./server.ts";

/** The witness as a service of the peer network, which has authenticated the caller's box and incarnation. */
export function serveWitness(server: WitnessServer): ServeHandler {
  return {
    admit: () => undefined,
    frame: (session, bytes) => {
      server.handle(session.remote.incarnation, requestsIn(bytes), (replies) => {
        session.reply(WitnessBatchReply.encode({ replies }).finish());
      });
    },
    closed: () => {},
  };
}

/** None when the bytes are no batch, although they come from a box: one that is broken must not end the witness of all. */
function requestsIn(bytes: Uint8Array): WitnessRequest[] {
  try {
    return WitnessBatch.decode(bytes).requests;
  } catch {
    return [];
  }
}
