import type { Command } from "@nexus-federation/proto/command.ts";
import { equalBytes } from "../base/bytes.ts";
import type { HostCore } from "./core.ts";
import { chunksOf, chunksOfCommand, EntryKind } from "./entry.ts";
import type { Replica } from "./replica.ts";

/**
 * True when something that is here but not yet applied may refer to the chunk: a proposal, an entry above the applied
 * index, or a snapshot on its way in, whose chunks were found to be here already.
 */
export function mayRefer(core: HostCore, address: Uint8Array, isReceiving: (log: number) => boolean): boolean {
  for (const replica of core.replicas.values()) {
    if (replica.installing || replica.prepared !== undefined || isReceiving(replica.log)) return true;
    const isNamed = (command: Command) => chunksOfCommand(command).some((named) => equalBytes(named, address));
    if (replica.proposals.some(isNamed) || isNamedAbove(replica, address)) return true;
  }
  return false;
}

function isNamedAbove(replica: Replica, address: Uint8Array): boolean {
  const { log } = replica.node.raft;
  const last = log.lastIndex();
  if (last <= log.applied) return false;
  const entries = log.slice(log.applied + 1, last + 1, Number.MAX_SAFE_INTEGER);
  if (entries === "compacted") return true;
  return entries.some(
    ({ data, type }) =>
      type === "EntryNormal" &&
      data[0] === EntryKind.commandWithChunks &&
      chunksOf(data).some((named) => equalBytes(named, address)),
  );
}
