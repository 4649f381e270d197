import type { TLSSocket } from "node:tls";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Identity } from "../auth/identities.ts";
import type { Clock } from "../base/clock.ts";
import { refuse } from "../base/errors.ts";
import { identityOfCertificate, peerIdentity } from "./credentials.ts";
import { FrameSocket, protocolOf } from "./frame-socket.ts";
import { batchFields, handshakeFrame, readField, readHandshake } from "./frames.ts";
import { checkCaller, handshakeOf, remoteOf } from "./handshake.ts";
import type { Listener } from "./listener.ts";
import type { Remote, SelfAddress, ServeHandler, Service, Session } from "./ports.ts";
import { FrameWriter, streamMethods, type Traffic } from "./raw.ts";
import { acceptedCall, type PeerStream, type StreamEvents } from "./streams.ts";

/** The verified identity of a gRPC call's client certificate; undefined without one. */
export function callIdentity(call: {
  getAuthContext(): { sslPeerCertificate?: { subjectaltname?: string } };
}): Identity | undefined {
  return identityOfCertificate(call.getAuthContext().sslPeerCertificate?.subjectaltname);
}

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Somebody who has not said yet who it is. */
interface Unknown {
  identity: Identity | undefined;
  stream: PeerStream | undefined;
}

export interface SessionNeeds {
  clock: Clock;
  self: SelfAddress;
  /** Time from the start of a call to its first frame. */
  handshakeTimeoutMs: number;
  /** Where bytes are counted. */
  traffic: Traffic;
}

/** Accepts the streams of one service: one a caller, a newer one replaces the older. */
export class Sessions {
  readonly #needs: SessionNeeds;
  readonly #service: Service;
  readonly #handler: ServeHandler;
  readonly #open = new Map<string, Accepted>();

  constructor(needs: SessionNeeds, service: Service, handler: ServeHandler) {
    this.#needs = needs;
    this.#service = service;
    this.#handler = handler;
  }

  serveOn(listener: Pick<Listener, "grpc" | "onFrames">): void {
    const { clock } = this.#needs;
    listener.grpc.addService(
      { [this.#service]: streamMethods[this.#service] },
      { [this.#service]: (call: Call) => this.#accept(callIdentity(call), (events) => acceptedCall(call, events)) },
    );
    listener.onFrames(protocolOf(this.#service), (socket: TLSSocket) =>
      this.#accept(peerIdentity(socket), (events) => new FrameSocket(socket, { clock, role: "server" }, events)),
    );
  }

  get size(): number {
    return this.#open.size;
  }

  closeAll(): void {
    for (const session of [...this.#open.values()]) this.#close(session);
  }

  #accept(identity: Identity | undefined, open: (events: StreamEvents) => PeerStream): void {
    let session: Accepted | undefined;
    const caller: Unknown = { identity, stream: undefined };
    const timer = this.#needs.clock.after(this.#needs.handshakeTimeoutMs, () => {
      caller.stream?.refuse(refuse("DEADLINE", "no handshake in time"));
    });
    caller.stream = open({
      frame: (frame) => {
        timer.cancel();
        if (session === undefined) session = this.#greet(caller, frame);
        else this.#receive(session, frame);
      },
      over: () => {
        timer.cancel();
        if (session !== undefined) this.#close(session);
      },
    });
  }

  #greet({ identity, stream }: Unknown, frame: Buffer): Accepted | undefined {
    const { self, clock } = this.#needs;
    if (stream === undefined) return undefined;
    const handshake = readHandshake(frame);
    const caller = { identity, handshake };
    const remote = handshake === undefined ? undefined : remoteOf(handshake);
    const refusal =
      checkCaller(self, caller, { anyIncarnation: this.#service === "witness" }) ??
      (remote === undefined ? undefined : this.#handler.admit(remote));
    if (refusal !== undefined || remote === undefined) {
      stream.refuse(refusal ?? refuse("INVALID", "the first frame must be a handshake"));
      return undefined;
    }
    stream.write(handshakeFrame(handshakeOf(self, remote)), () => {});
    const writer = new FrameWriter((fn) => clock.soon(fn), {
      field: batchFields[this.#service].reply,
      overflow: "refuse",
      traffic: this.#needs.traffic,
    });
    writer.open(stream);
    const session = new Accepted(stream, remote, writer);
    const older = this.#open.get(remote.box);
    if (older !== undefined) this.#close(older);
    this.#open.set(remote.box, session);
    return session;
  }

  #receive(session: Accepted, frame: Buffer): void {
    if (session.over) return;
    this.#needs.traffic.receivedBytes += frame.length;
    const batch = readField(frame, batchFields[this.#service].request);
    if (batch === undefined) session.stream.refuse(refuse("INVALID", "a frame that is no batch"));
    else this.#handler.frame(session, batch);
  }

  #close(session: Accepted): void {
    if (session.over) return;
    session.over = true;
    session.writer.close();
    if (this.#open.get(session.remote.box) === session) this.#open.delete(session.remote.box);
    session.stream.end();
    this.#handler.closed(session);
  }
}

class Accepted implements Session {
  readonly stream: PeerStream;
  readonly remote: Remote;
  readonly writer: FrameWriter;
  over = false;

  constructor(stream: PeerStream, remote: Remote, writer: FrameWriter) {
    this.stream = stream;
    this.remote = remote;
    this.writer = writer;
  }

  reply(message: Uint8Array): boolean {
    return !this.over && this.writer.push(message);
  }
}
