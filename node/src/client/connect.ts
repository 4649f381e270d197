// Opens sessions: TLS 1.3 to any box of the federation (the certificate's name decides, not the address), or plaintext
// on loopback; the bearer token travels as metadata.

import { createSecureContext } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { NexusError } from "../base/errors.ts";
import { channelOptions } from "../transport/channel.ts";
import { identityOfCertificate } from "../transport/credentials.ts";
import { bearer } from "./checks.ts";
import { connectionError } from "./problems.ts";
import { Session } from "./session.ts";
import type { ClientSettings } from "./types.ts";

const connectTimeoutMs = 3000;

export function connector(settings: ClientSettings): (endpoint: string) => Promise<Session> {
  const credentials = credentialsOf(settings);
  const metadata = new grpc.Metadata();
  if (settings.token) metadata.set("authorization", bearer(settings.token));
  return async (endpoint) => {
    const session = new Session({
      endpoint,
      address: settings.dial?.(endpoint) ?? endpoint,
      credentials,
      channelOptions,
      metadata,
    });
    try {
      await session.open(connectTimeoutMs);
    } catch (cause) {
      throw connectionError(cause, settings);
    }
    return session;
  };
}

/** Credentials for a client listener of any box of the federation. Throws INVALID when the PEM texts do not fit. */
export function credentialsOf(settings: ClientSettings): grpc.ChannelCredentials {
  if (settings.ca === undefined) return grpc.credentials.createInsecure();
  let context: ReturnType<typeof createSecureContext>;
  try {
    context = createSecureContext({ ca: settings.ca, cert: settings.cert, key: settings.key, minVersion: "TLSv1.3" });
  } catch (cause) {
    throw new NexusError("INVALID", "ca, cert and key must be PEM and belong together", { cause });
  }
  return grpc.credentials.createFromSecureContext(context, {
    checkServerIdentity: (_host, certificate) => {
      const identity = identityOfCertificate(certificate.subjectaltname);
      if (identity?.kind === "box" && identity.federation === settings.federation) return undefined;
      return new Error(
        `expected a box of federation ${settings.federation}, the certificate says ${certificate.subjectaltname ?? "nothing"}`,
      );
    },
  });
}
