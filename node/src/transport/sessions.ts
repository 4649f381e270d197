import type { Server, ServerDuplexStream } from "@grpc/grpc-js";
import type { Identity } from "../auth/identities.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { refuse } from "../base/errors.ts";
import { identityOfCertificate } from "./credentials.ts";
import { batchFields, handshakeFrame, readField, readHandshake } from "./frames.ts";
import { checkCaller, handshakeOf, remoteOf } from "./handshake.ts";
import type { Remote, SelfAddress, ServeHandler, Service, Session } from "./ports.ts";
import { FrameWriter, streamMethods, type Traffic } from "./raw.ts";
import { statusOf } from "./refusals.ts";

/** The verified identity of a gRPC call's client certificate; undefined without one. */
export function callIdentity(call: {
  getAuthContext(): { sslPeerCertificate?: { subjectaltname?: string } };
}): Identity | undefined {
  return identityOfCertificate(call.getAuthContext().sslPeerCertificate?.subjectaltname);
}

type Call = ServerDuplexStream<Buffer, Buffer>;

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

  serveOn(grpc: Server): void {
    grpc.addService(
      { [this.#service]: streamMethods[this.#service] },
      { [this.#service]: (c: Call) => this.#accept(c) },
    );
  }

  get size(): number {
    return this.#open.size;
  }

  closeAll(): void {
    for (const session of [...this.#open.values()]) this.#close(session);
  }

  #accept(call: Call): void {
    let session: Accepted | undefined;
    const timer = this.#needs.clock.after(this.#needs.handshakeTimeoutMs, () => {
      call.emit("error", statusOf(refuse("DEADLINE", "no handshake in time")));
    });
    const over = () => {
      timer.cancel();
      if (session !== undefined) this.#close(session);
    };
    call.on("data", (frame: Buffer) => {
      if (session === undefined) session = this.#greet(call, frame, timer);
      else this.#receive(session, frame);
    });
    call.on("error", over);
    call.on("cancelled", over);
    call.on("close", over);
    call.on("end", () => {
      over();
      call.end();
    });
  }

  #greet(call: Call, frame: Buffer, timer: Timer): Accepted | undefined {
    timer.cancel();
    const { self, clock } = this.#needs;
    const handshake = readHandshake(frame);
    const caller = { identity: callIdentity(call), handshake };
    const remote = handshake === undefined ? undefined : remoteOf(handshake);
    const refusal =
      checkCaller(self, caller, { anyIncarnation: this.#service === "witness" }) ??
      (remote === undefined ? undefined : this.#handler.admit(remote));
    if (refusal !== undefined || remote === undefined) {
      call.emit("error", statusOf(refusal ?? refuse("INVALID", "the first frame must be a handshake")));
      return undefined;
    }
    call.write(handshakeFrame(handshakeOf(self, remote)));
    const writer = new FrameWriter((fn) => clock.soon(fn), {
      field: batchFields[this.#service].reply,
      overflow: "refuse",
      traffic: this.#needs.traffic,
    });
    writer.open({ write: (bytes, written) => call.write(bytes, written) });
    const session = new Accepted(call, remote, writer);
    const older = this.#open.get(remote.box);
    if (older !== undefined) this.#close(older);
    this.#open.set(remote.box, session);
    return session;
  }

  #receive(session: Accepted, frame: Buffer): void {
    if (session.over) return;
    this.#needs.traffic.receivedBytes += frame.length;
    const batch = readField(frame, batchFields[this.#service].request);
    if (batch === undefined) session.call.emit("error", statusOf(refuse("INVALID", "a frame that is no batch")));
    else this.#handler.frame(session, batch);
  }

  #close(session: Accepted): void {
    if (session.over) return;
    session.over = true;
    session.writer.close();
    if (this.#open.get(session.remote.box) === session) this.#open.delete(session.remote.box);
    session.call.end();
    this.#handler.closed(session);
  }
}

class Accepted implements Session {
  readonly call: Call;
  readonly remote: Remote;
  readonly writer: FrameWriter;
  over = false;

  constructor(call: Call, remote: Remote, writer: FrameWriter) {
    this.call = call;
    this.remote = remote;
    this.writer = writer;
  }

  reply(message: Uint8Array): boolean {
    return !this.over && this.writer.push(message);
  }
}
