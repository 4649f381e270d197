import { assert } from "../base/assert.ts";
import { fromHex, hexOf, textOf, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/clock.ts";
import { NexusError } from "../base/errors.ts";
import type { DurableStore } from "./durable-store.ts";
import { identityKey } from "./keys.ts";

/** Who a box is for as long as its disk lives. A wiped disk is another incarnation. */
export interface BoxIdentity {
  /** 16 random bytes. */
  incarnation: Uint8Array;
  /** Empty until the box joined a federation. */
  federationUid: string;
}

/** The identity on this disk; an empty disk draws one, durable when this resolves. */
export async function openIdentity(store: DurableStore, random: Random): Promise<BoxIdentity> {
  const found = readIdentity(store);
  if (found !== undefined) return found;
  const identity = { incarnation: random.bytes(16), federationUid: "" };
  await writeIdentity(store, identity);
  return identity;
}

/** Durable when resolved. Another federation than the one recorded is refused with INVALID: disks do not change sides. */
export async function joinFederation(store: DurableStore, federationUid: string): Promise<BoxIdentity> {
  const known = readIdentity(store);
  assert(known !== undefined && federationUid !== "", "a box has its identity before it joins a federation");
  if (known.federationUid === federationUid) return known;
  if (known.federationUid !== "") {
    throw new NexusError(
      "INVALID",
      `This disk belongs to federation ${known.federationUid}, not to ${federationUid}: use an empty one.`,
    );
  }
  const identity = { ...known, federationUid };
  await writeIdentity(store, identity);
  return identity;
}

function readIdentity(store: DurableStore): BoxIdentity | undefined {
  const stored = store.get(identityKey);
  if (stored === undefined) return undefined;
  const [hex = "", federationUid = ""] = textOf(stored).split(" ");
  const incarnation = fromHex(hex);
  assert(incarnation?.length === 16, "a stored incarnation has 16 bytes");
  return { incarnation, federationUid };
}

async function writeIdentity(store: DurableStore, identity: BoxIdentity): Promise<void> {
  assert(identity.incarnation.length === 16, "an incarnation has 16 bytes");
  store.write([{ key: identityKey, value: utf8(`${hexOf(identity.incarnation)} ${identity.federationUid}`) }]);
  await store.flush();
}
