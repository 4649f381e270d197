import { WitnessBatch, WitnessBatchReply } from "@nexus-federation/proto/raft.ts";
import type { ServeHandler } from "../transport/ports.ts";
import type { WitnessServer } from "./server.ts";

/** The witness as a service of the peer network, which has authenticated the caller's box and incarnation. */
export function serveWitness(server: WitnessServer): ServeHandler {
  return {
    admit: () => undefined,
    frame: (session, bytes) => {
      const { requests } = WitnessBatch.decode(bytes);
      server.handle(session.remote.incarnation, requests, (replies) => {
        session.reply(WitnessBatchReply.encode({ replies }).finish());
      });
    },
    closed: () => {},
  };
}
