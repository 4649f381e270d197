// What went wrong below a call, in words for people: grpc-js wraps the cause in its own, and does not tell what passes by
// itself from what never will.
import { messageOf, NexusError } from "../base/errors.ts";
import type { ClientSettings } from "./types.ts";

/** What TLS says when the other side is not who it should be: time does not heal it. */
const strangers: [RegExp, (settings: ClientSettings) => string][] = [
  [
    /self-signed certificate|unable to (get|verify)|certificate signature failure|signed by unknown/i,
    () => "its certificate is not signed by the ca given; take the ca of that federation's context",
  ],
  [
    /expected a box of federation/,
    ({ federation }) => `it is no box of federation ${federation}; correct the endpoint or the federation`,
  ],
  [/certificate has expired|certificate is not yet valid/, () => "its certificate is out of date; compare the clocks"],
  [/wrong version number|packet length too long/, () => "it does not speak TLS; is this the endpoint of a box?"],
];

/**
 * Why a box could not be connected, without the words of the layers below. INVALID when it is a stranger and stays one,
 * else ZONE_UNAVAILABLE, which may pass.
 */
export function connectionError(cause: unknown, settings: ClientSettings): NexusError {
  const text = plainText(messageOf(cause)).replace(/, (DNS|IP Address):.*$/s, "");
  const stranger = strangers.find(([pattern]) => pattern.test(text));
  if (stranger) return new NexusError("INVALID", `${stranger[1](settings)} (${text})`, { cause });
  const hint = settings.ca === undefined ? "; no ca is given, and most boxes want TLS" : "";
  return new NexusError("ZONE_UNAVAILABLE", `${text}${hint}`, { cause });
}

/** "14 UNAVAILABLE: No connection established. Last error: Error: X. Resolution note: " to X. */
export function plainText(message: string): string {
  const [, last] = /Last error: (?:Error: )?(.*?)\.? ?Resolution note: .*$/s.exec(message) ?? [];
  return last ?? message.replace(/^\d+ [A-Z_]+: (?:([A-Z_]+): )?/, "");
}
