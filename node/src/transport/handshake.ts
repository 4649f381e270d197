// Who may speak to whom. A stream is used only after both sides have seen: the certificate's box is the one that the
// handshake names, the federation is ours, and the handshake means this box in this incarnation. A process with a wiped
// disk has a new incarnation, so frames meant for its former self never reach it.

import type { Handshake } from "@nexus-federation/proto/peer.ts";
import type { Identity } from "../auth/identities.ts";
import { equalBytes } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { Remote, SelfAddress } from "./ports.ts";

export function handshakeOf(self: SelfAddress, to: { box: string; incarnation: Uint8Array }): Handshake {
  return {
    federation: self.federation,
    box: self.box,
    incarnation: Buffer.from(self.incarnation),
    toBox: to.box,
    toIncarnation: Buffer.from(to.incarnation),
    featureLevel: self.featureLevel,
    version: self.version,
  };
}

export function remoteOf(handshake: Handshake): Remote {
  const { box, incarnation, featureLevel, version } = handshake;
  return { box, incarnation, featureLevel, version };
}

/** The receiver's check. `anyIncarnation`: the caller may not know ours yet (witness streams). */
export function checkCaller(
  self: SelfAddress,
  caller: { identity: Identity | undefined; handshake: Handshake | undefined },
  options: { anyIncarnation: boolean },
): Refusal | undefined {
  const { identity, handshake } = caller;
  if (identity === undefined) return refuse("UNAUTHENTICATED", "a peer needs a certificate with a spiffe name");
  if (identity.kind !== "box") return refuse("DENIED", `a box is expected here, the certificate says ${identity.kind}`);
  if (handshake === undefined) return refuse("INVALID", "the first frame must be a handshake");
  if (identity.federation !== self.federation || handshake.federation !== self.federation) {
    return refuse("DENIED", `this is federation ${self.federation}, the caller belongs to ${identity.federation}`);
  }
  if (handshake.box !== identity.id) {
    return refuse("DENIED", `the handshake says box ${handshake.box}, its certificate ${identity.id}`);
  }
  if (handshake.incarnation.length !== 16) return refuse("INVALID", "an incarnation is 16 bytes");
  if (handshake.toBox !== self.box) {
    return refuse("DENIED", `this is box ${self.box}, the caller means ${handshake.toBox}`);
  }
  if (options.anyIncarnation && handshake.toIncarnation.length === 0) return undefined;
  if (!equalBytes(handshake.toIncarnation, self.incarnation)) {
    return refuse("DENIED", `box ${self.box} has another incarnation than the caller means`);
  }
  return undefined;
}

/** The caller's check of the answer; its certificate was checked by the TLS handshake. */
export function checkAnswer(
  self: SelfAddress,
  expected: { box: string; incarnation: Uint8Array },
  handshake: Handshake | undefined,
): Refusal | undefined {
  if (handshake === undefined) return refuse("INVALID", "the first frame must be a handshake");
  if (handshake.federation !== self.federation || handshake.box !== expected.box) {
    return refuse("DENIED", `box ${expected.box} was expected, ${handshake.federation}/${handshake.box} answers`);
  }
  if (expected.incarnation.length > 0 && !equalBytes(handshake.incarnation, expected.incarnation)) {
    return refuse("DENIED", `box ${expected.box} answers with another incarnation than expected`);
  }
  if (handshake.toBox !== self.box || !equalBytes(handshake.toIncarnation, self.incarnation)) {
    return refuse("DENIED", `box ${expected.box} answers to somebody else`);
  }
  return undefined;
}
