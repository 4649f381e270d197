import type { ZonePolicy } from "./api.ts";
import { ByteReader, ByteWriter } from "./codec.ts";

/** The policy in force, and the one that waits until no lock is held. */
export interface StoredPolicy {
  now: ZonePolicy;
  /** New locks are refused while it stands. */
  next: ZonePolicy | undefined;
}

export const firstPolicy: StoredPolicy = {
  now: { mode: "strong", locks: "refuse", copiesDeclared: 1, acceptedRevision: 0, acceptedHash: "" },
  next: undefined,
};

export const policyModes: readonly string[] = ["strong", "strong_ha", "eventual"];
export const lockPolicies: readonly string[] = ["", "refuse", "upgrade"];

/** Locks and compare-and-set are served by the authority alone. */
export function grantsLocks(policy: ZonePolicy): boolean {
  return policy.mode !== "eventual" || policy.locks === "upgrade";
}

export function encodePolicy(policy: StoredPolicy): Uint8Array {
  const writer = new ByteWriter();
  for (const one of policy.next ? [policy.now, policy.next] : [policy.now]) {
    writer
      .text(one.mode)
      .text(one.locks)
      .varint(one.copiesDeclared)
      .varint(one.acceptedRevision)
      .text(one.acceptedHash);
  }
  return writer.finish();
}

export function decodePolicy(bytes: Uint8Array): StoredPolicy {
  const reader = new ByteReader(bytes);
  const now = readPolicy(reader);
  return { now, next: reader.done ? undefined : readPolicy(reader) };
}

function readPolicy(reader: ByteReader): ZonePolicy {
  return {
    mode: reader.text(),
    locks: reader.text(),
    copiesDeclared: reader.varint(),
    acceptedRevision: reader.varint(),
    acceptedHash: reader.text(),
  };
}
