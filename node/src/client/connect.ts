// Opens sessions: TLS 1.3 to any box of the federation (the certificate's name decides, not the address), or plaintext
// on loopback; the bearer token travels as metadata, or in the first frame.

import * as grpc from "@grpc/grpc-js";
import type { Clock } from "../base/clock.ts";
import { channelOptions, credentialsToFederation } from "../transport/channel.ts";
import { systemClock } from "../transport/system-clock.ts";
import { bearer } from "./checks.ts";
import { connectionError } from "./problems.ts";
import { Session } from "./session.ts";
import { openSessionSocket } from "./session-socket.ts";
import type { ClientSettings } from "./types.ts";
import { UploadSockets } from "./upload-sockets.ts";

const connectTimeoutMs = 3000;

export function connector(
  settings: ClientSettings,
  clock: Clock = systemClock,
): (endpoint: string) => Promise<Session> {
  const credentials = credentialsOf(settings);
  const metadata = new grpc.Metadata();
  if (settings.token) metadata.set("authorization", bearer(settings.token));
  const { federation, ca, cert: certificate, key, token = "" } = settings;
  return async (endpoint) => {
    const address = settings.dial?.(endpoint) ?? endpoint;
    const target = { trust: { ca, certificate, key }, federation, endpoint: address };
    const session = new Session({
      endpoint,
      address,
      frames: ca === undefined ? undefined : (timeoutMs) => openSessionSocket(target, { token, timeoutMs }),
      uploads: ca === undefined ? undefined : new UploadSockets(target, token),
      credentials,
      channelOptions,
      metadata,
      clock,
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
  const { ca, cert: certificate, key, federation } = settings;
  if (ca === undefined) return grpc.credentials.createInsecure();
  return credentialsToFederation({ ca, certificate, key }, federation);
}
