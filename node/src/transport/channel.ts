// The calling side: connections and grpc-js channels that speak TLS 1.3 only and accept exactly one process at the
// other end, the one whose certificate carries the expected name. Host names play no part: loopback works by address,
// and moving a box to another address needs no new certificate.

import tls from "node:tls";
import { type ChannelCredentials, type ChannelOptions, Client, credentials as grpcCredentials } from "@grpc/grpc-js";
import { identityUri } from "../auth/identities.ts";
import { type Credentials, identityOfCertificate, secureContextOf } from "./credentials.ts";
import { grpcMessageBytesMax } from "./ports.ts";

/** Credentials for a channel to box `box` of `federation`; anything else that answers there is refused. */
export function credentialsToBox(own: Credentials, federation: string, box: string): ChannelCredentials {
  const options = { checkServerIdentity: checkBox(federation, box) };
  return grpcCredentials.createFromSecureContext(secureContextOf(own), options);
}

/** Accepts the certificate of that box alone. */
function checkBox(federation: string, box: string) {
  const expected = identityUri({ federation, kind: "box", id: box });
  return (_host: string, certificate: { subjectaltname?: string | undefined }): Error | undefined => {
    const identity = identityOfCertificate(certificate.subjectaltname);
    const found = identity === undefined ? "no identity" : identityUri(identity);
    return found === expected ? undefined : new Error(`expected ${expected}, the certificate says ${found}`);
  };
}

/** Sent as server name in TLS handshakes: an address is forbidden there, and nobody looks at it. */
const nameInHandshake = "box.nexus.internal";

/** Credentials for the client port of any box of `federation`; with certificate and key a client shows who it is. */
export function credentialsToFederation(trust: Partial<Credentials>, federation: string): ChannelCredentials {
  const options = { checkServerIdentity: checkFederation(federation) };
  return grpcCredentials.createFromSecureContext(secureContextOf(trust), options);
}

/** Accepts the certificate of any box of the federation. */
function checkFederation(federation: string) {
  return (_host: string, certificate: { subjectaltname?: string | undefined }): Error | undefined => {
    const identity = identityOfCertificate(certificate.subjectaltname);
    if (identity?.kind === "box" && identity.federation === federation) return undefined;
    const named = certificate.subjectaltname ?? "nothing";
    return new Error(`expected a box of federation ${federation}, the certificate says ${named}`);
  };
}

/** One connection a channel, found dead within seconds, never through a proxy. */
export const channelOptions: ChannelOptions = {
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.enable_retries": 0,
  "grpc.enable_channelz": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.keepalive_time_ms": 2_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": grpcMessageBytesMax,
  "grpc.max_send_message_length": grpcMessageBytesMax,
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
  "grpc.ssl_target_name_override": nameInHandshake,
  "grpc.default_authority": nameInHandshake,
};

/** One box, and who asks. */
export interface BoxTarget {
  own: Credentials;
  federation: string;
  box: string;
  /** "host:port", the host of an IPv6 address in brackets. */
  endpoint: string;
}

/** A connection without gRPC. */
export function socketToBox({ own, federation, box, endpoint }: BoxTarget, protocols: string[]): tls.TLSSocket {
  const secureContext = secureContextOf(own);
  return connect(endpoint, { secureContext, checkServerIdentity: checkBox(federation, box), ALPNProtocols: protocols });
}

/** A connection without gRPC to the client port of any box of a federation. */
export function socketToFederation(target: FederationTarget, protocols: string[]): tls.TLSSocket {
  const { trust, federation, endpoint } = target;
  const secureContext = secureContextOf(trust);
  return connect(endpoint, {
    secureContext,
    checkServerIdentity: checkFederation(federation),
    ALPNProtocols: protocols,
  });
}

export interface FederationTarget {
  /** With certificate and key a client shows who it is. */
  trust: Partial<Credentials>;
  federation: string;
  /** As a box's. */
  endpoint: string;
}

function connect(endpoint: string, options: tls.ConnectionOptions): tls.TLSSocket {
  const at = endpoint.lastIndexOf(":");
  return tls.connect({
    ...options,
    host: endpoint.slice(0, at).replace(/^\[(.*)\]$/, "$1"),
    port: Number(endpoint.slice(at + 1)),
    servername: nameInHandshake,
  });
}

/** A channel; close it when done. */
export function clientToBox(target: BoxTarget): Client {
  return new Client(target.endpoint, credentialsToBox(target.own, target.federation, target.box), channelOptions);
}
