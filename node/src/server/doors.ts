// Puts the doors on a box's two listeners: everything for clients on the client port, admin also on the peer port.
import { AdminService } from "@nexus-federation/proto/admin.ts";
import { FilesService } from "@nexus-federation/proto/files.ts";
import { LocksService } from "@nexus-federation/proto/locks.ts";
import { RequestFrame, ResponseFrame } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import type { BoxApi } from "../box/api.ts";
import { decodeUploadFrame, encodeDownloadFrame } from "../transport/content-frames.ts";
import { peerIdentity } from "../transport/credentials.ts";
import { Listener, type ListenerSettings } from "../transport/listener.ts";
import { sessionProtocol } from "../transport/session-frames.ts";
import { callIdentity } from "../transport/sessions.ts";
import { systemClock } from "../transport/system-clock.ts";
import { uploadsProtocol } from "../transport/upload-frames.ts";
import { decodeMessage, encodeMessage } from "../transport/wire-codec.ts";
import { type Audit, adminDoor } from "./admin-door.ts";
import type { Authenticator } from "./callers.ts";
import { filesDoor, locksDoor } from "./files-door.ts";
import { httpDoor } from "./http-door.ts";
import { LockWaiters } from "./lock-waiters.ts";
import { withPageTokens } from "./page-tokens.ts";
import { acceptSessions } from "./session-socket.ts";
import { acceptUploads } from "./upload-socket.ts";

/** The generated service, with codecs of their own for the stream of many requests and for content. */
const filesService = {
  ...FilesService,
  session: {
    ...FilesService.session,
    requestDeserialize: (bytes: Buffer): RequestFrame => decodeMessage(RequestFrame, bytes),
    responseSerialize: (frame: ResponseFrame): Buffer => encodeMessage(ResponseFrame, frame),
  },
  upload: { ...FilesService.upload, requestDeserialize: decodeUploadFrame },
  download: { ...FilesService.download, responseSerialize: encodeDownloadFrame },
};

export interface DoorsNeeds {
  box: BoxApi;
  /** The box as one kind of door sees it: counted. */
  meter?: (box: BoxApi, door: "http" | "grpc") => BoxApi;
  authenticator: Authenticator;
  audit: Audit;
  metrics: () => Promise<string>;
  /** Why a connection was refused. */
  refused: (reason: string) => void;
  defer: (fn: () => void) => void;
  version: string;
  /** Real time unless given. */
  clock?: Clock;
}

/** The client listener with every door on it; the caller starts and stops it, `close` ends the HTTP side. */
export async function clientDoors(
  needs: DoorsNeeds,
  settings: ListenerSettings,
): Promise<{ listener: Listener; close(): Promise<void> }> {
  const { meter, authenticator, metrics, version, defer } = needs;
  const box = withPageTokens(needs.box);
  const grpcBox = meter?.(box, "grpc") ?? box;
  const clock = needs.clock ?? systemClock;
  const lockWaiters = new LockWaiters(box, clock);
  const http = await httpDoor({
    box: meter?.(box, "http") ?? box,
    authenticator,
    metrics,
    lockWaiters,
    version,
    identityOf: identityOfSocket,
  });
  const listener = new Listener(settings, { http: http.server, refused: needs.refused });
  const grpcNeeds = { box: grpcBox, authenticator, identityOf: identityOfCall, defer, lockWaiters };
  listener.grpc.addService(filesService, { ...filesDoor(grpcNeeds) });
  listener.grpc.addService(LocksService, { ...locksDoor(grpcNeeds) });
  listener.grpc.addService(AdminService, { ...adminDoor({ ...grpcNeeds, audit: needs.audit }) });
  listener.onFrames(sessionProtocol, acceptSessions({ ...grpcNeeds, clock }));
  listener.onFrames(uploadsProtocol, acceptUploads({ box: grpcBox, authenticator, clock }));
  const close = () => {
    lockWaiters.close();
    return http.close();
  };
  return { listener, close };
}

/** The admin service for operators' certificates; before the peer listener starts. */
export function adminOnPeerPort(needs: DoorsNeeds, listener: Listener): void {
  const { box, authenticator, audit } = needs;
  listener.grpc.addService(AdminService, { ...adminDoor({ box, authenticator, audit, identityOf: identityOfCall }) });
}

function identityOfCall(call: object) {
  return callIdentity(call as Parameters<typeof callIdentity>[0]);
}

/** Plain loopback sockets prove nothing. */
function identityOfSocket(socket: Parameters<typeof peerIdentity>[0]) {
  return socket.encrypted ? peerIdentity(socket) : undefined;
}
