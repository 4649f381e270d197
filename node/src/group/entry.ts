import { Command } from "@nexus-federation/proto/command.ts";
import { MembershipTarget } from "@nexus-federation/proto/raft.ts";
import { noBytes } from "../base/bytes.ts";
import { decodeMessage, encodeMessage } from "../transport/wire-codec.ts";

/**
 * First byte of a normal entry's data. It tells without decoding what follows: a Command, a Command that refers to
 * chunks (which must be here before the entry is acknowledged), or the host's own MembershipTarget. An entry without
 * data is a no-op.
 */
export const EntryKind = { command: 1, commandWithChunks: 2, target: 3 } as const;

const heads = [noBytes, Uint8Array.of(EntryKind.command), Uint8Array.of(EntryKind.commandWithChunks)] as const;

export function encodeCommand(command: Command): Uint8Array {
  const kind = refersToChunks(command) ? EntryKind.commandWithChunks : EntryKind.command;
  return encodeMessage(Command, command, heads[kind]);
}

export function encodeTarget(target: MembershipTarget): Uint8Array {
  return encodeMessage(MembershipTarget, target, Uint8Array.of(EntryKind.target));
}

export function decodeTarget(data: Uint8Array): MembershipTarget {
  return MembershipTarget.decode(data.subarray(1));
}

/** The Command's bytes; none when the entry is not one. */
export function commandBytes(data: Uint8Array): Uint8Array {
  return data[0] === EntryKind.command || data[0] === EntryKind.commandWithChunks ? data.subarray(1) : noBytes;
}

/** The command of an entry; undefined when its bytes are none, which the state machine then says. */
export function decodeCommand(data: Uint8Array): Command | undefined {
  try {
    return decodeMessage(Command, commandBytes(data));
  } catch {
    return undefined;
  }
}

/** Addresses of the chunks that an entry's data refers to; none when its bytes are no command. */
export function chunksOf(data: Uint8Array): Uint8Array[] {
  const command = data[0] === EntryKind.commandWithChunks ? decodeCommand(data) : undefined;
  return command === undefined ? [] : chunksOfCommand(command);
}

export function chunksOfCommand(command: Command): Uint8Array[] {
  const op = command.operation?.op;
  if (op?.$case === "write") return op.value.chunks.map((chunk) => chunk.address);
  if (op?.$case !== "batch") return [];
  const out: Uint8Array[] = [];
  for (const { op: inner } of op.value.operations) {
    if (inner?.$case === "write") for (const chunk of inner.value.chunks) out.push(chunk.address);
  }
  return out;
}

function refersToChunks(command: Command): boolean {
  const op = command.operation?.op;
  if (op?.$case === "write") return op.value.chunks.length > 0;
  if (op?.$case !== "batch") return false;
  return op.value.operations.some(({ op: inner }) => inner?.$case === "write" && inner.value.chunks.length > 0);
}
