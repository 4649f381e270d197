import { equalBytes, hexOf } from "../base/bytes.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import type { Remote } from "../transport/ports.ts";
import type { Replica } from "./replica.ts";

/**
 * Why a box may not speak here at all: a recovery gave its disk up. It may hold acknowledged writes that the log goes on
 * without, and must be heard in no log any more, not even in one that it was never a member of.
 */
export function bannedRefusal(replicas: Iterable<Replica>, { box, incarnation }: Remote): Refusal | undefined {
  for (const { log, config } of replicas) {
    if (!config.banned.some((one) => equalBytes(one, incarnation))) continue;
    const text = `Incarnation ${hexOf(incarnation)} of box ${box} was given up by a recovery of log ${log}: empty its folder, so that it starts as a new one.`;
    return refuse("DENIED", text);
  }
  return undefined;
}
