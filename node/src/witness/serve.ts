import { WitnessBatch, WitnessBatchReply } from "@nexus-federation/proto/raft.ts";
import { readable } from "../base/readable.ts";
import type { ServeHandler } from "../transport/ports.ts";
import type { WitnessServer } from "./server.ts";

/** The witness as a service of the peer network, which has authenticated the caller's box and incarnation. */
export function serveWitness(server: WitnessServer): ServeHandler {
  return {
    admit: () => undefined,
    frame: (session, bytes) => {
      // One box whose bytes are no batch must not end the witness of all.
      const requests = readable(WitnessBatch, bytes)?.requests ?? [];
      server.handle(session.remote.incarnation, requests, (replies) => {
        session.reply(WitnessBatchReply.encode({ replies }).finish());
      });
    },
    closed: () => {},
  };
}
