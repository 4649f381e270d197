// How a box finds others before anybody told it: from a list of addresses. The list only says where to knock; who
// answers is known by the certificate alone, and nothing found here makes a member of any group.

import { isIPv6 } from "node:net";
import { type Refusal, refuse } from "../base/errors.ts";

export interface Endpoint {
  host: string;
  port: number;
}

/** A port is added where an entry has none. */
export const defaultPeerPort = 2027;
/** More entries are refused: nobody knocks at more doors. */
export const bootstrapMax = 100;

/**
 * Parses "host:port,host:port" (the value of NEXUS_RAFT_PEERS): commas or white space between entries, "[v6]:port",
 * duplicates once, order kept. INVALID names the first wrong entry.
 */
export function parseBootstrap(text: string): Endpoint[] | Refusal {
  const endpoints = new Map<string, Endpoint>();
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const endpoint = parseEndpoint(entry);
    if (endpoint === undefined) {
      return refuse("INVALID", `"${entry}" in the bootstrap list is not host:port; write box-a:${defaultPeerPort}`);
    }
    endpoints.set(printEndpoint(endpoint), endpoint);
    if (endpoints.size > bootstrapMax) {
      return refuse("INVALID", `the bootstrap list has more than ${bootstrapMax} entries`);
    }
  }
  return [...endpoints.values()];
}

/** Undefined when `text` is not "host", "host:port" or "[v6]:port". */
export function parseEndpoint(text: string): Endpoint | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?)(?::(\d{1,5}))?$/.exec(text);
  const host = bracketed?.[1] ?? plain?.[1];
  const portText = bracketed?.[2] ?? plain?.[3];
  if (host === undefined || (bracketed !== null && !isIPv6(host))) return undefined;
  const port = portText === undefined ? defaultPeerPort : Number(portText);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** "host:port", IPv6 in brackets. */
export function printEndpoint({ host, port }: Endpoint): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
