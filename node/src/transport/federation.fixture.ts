import type { Authority } from "./authority.ts";
import type { Credentials } from "./credentials.ts";
import { Listener, type ListenerSettings, peerListenerLimits } from "./listener.ts";
import { TlsNetwork } from "./network.ts";
import type { SelfAddress, ServeHandler, Service } from "./ports.ts";
import { systemClock, systemRandom } from "./system-clock.ts";

// Real processes' parts for tests: an authority, boxes with listeners on free ports.

export function selfOf(box: string, more: Partial<SelfAddress> = {}): SelfAddress {
  const incarnation = new Uint8Array(16).fill(box.charCodeAt(0));
  return { federation: "acme", box, incarnation, featureLevel: 1, version: "0.1.0", ...more };
}

export function peerSettings(credentials: Credentials, port = 0): ListenerSettings {
  const security = { kind: "tls", credentials, clientCertificate: "required" } as const;
  return { host: "127.0.0.1", port, security, ...peerListenerLimits };
}

export async function boxCredentials(authority: Authority, box: string): Promise<Credentials> {
  return authority.issue({ kind: "box", id: box }, { nowMs: Date.now() });
}

export interface Started {
  network: TlsNetwork;
  listener: Listener;
  port: number;
  credentials: Credentials;
  stop(): Promise<void>;
}

/** A box that serves `serve` and can be called; its outgoing handlers are the caller's to set before peers are. */
export async function startBox(
  authority: Authority,
  self: SelfAddress,
  init: { serve: Partial<Record<Service, ServeHandler>>; port?: number },
): Promise<Started> {
  const credentials = await boxCredentials(authority, self.box);
  const needs = { clock: systemClock, random: systemRandom, self, credentials: () => credentials };
  const network = new TlsNetwork(needs);
  for (const [service, handler] of Object.entries(init.serve)) network.onServe(service as Service, handler);
  const listener = new Listener(peerSettings(credentials, init.port));
  network.serveOn(listener);
  const port = await listener.start();
  const stop = async () => {
    await network.stop();
    await listener.stop();
  };
  return { network, listener, port, credentials, stop };
}

/** Polls until `condition` holds; the test's own time-out is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
