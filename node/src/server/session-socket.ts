// The door for a client's stream of requests that travels without gRPC (docs/decisions/024): the same SessionDoor, on
// frames of a TLS connection. Who calls is told once, by the first frame's token or by the certificate.
import { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import type { RequestFrame, ResponseFrame } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi, Caller } from "../box/api.ts";
import { peerIdentity } from "../transport/credentials.ts";
import { FrameSocket, firstFrameBytesMax } from "../transport/frame-socket.ts";
import { grpcMessageBytesMax } from "../transport/ports.ts";
import { readGreeting, readRequests, responsesFrame } from "../transport/session-frames.ts";
import type { Authenticator } from "./callers.ts";
import type { LockWaiters } from "./lock-waiters.ts";
import { type RequestStream, SessionDoor } from "./session-door.ts";

export interface SessionSocketNeeds {
  box: BoxApi;
  authenticator: Authenticator;
  clock: Clock;
  defer: (fn: () => void) => void;
  lockWaiters: LockWaiters;
}

/** Takes connections that were agreed to carry such a stream. */
export function acceptSessions(needs: SessionSocketNeeds): (socket: TLSSocket) => void {
  return (socket) => void new SessionSocket(needs, socket);
}

class SessionSocket extends EventEmitter implements RequestStream {
  readonly #needs: SessionSocketNeeds;
  readonly #frames: FrameSocket;
  readonly #identity: ReturnType<typeof peerIdentity>;
  #isKnown = false;

  constructor(needs: SessionSocketNeeds, socket: TLSSocket) {
    super();
    this.#needs = needs;
    this.#identity = peerIdentity(socket);
    this.#frames = new FrameSocket(
      socket,
      { clock: needs.clock, role: "server", bytesMax: firstFrameBytesMax, isFirstFrameTimed: true },
      {
        frame: (frame) => {
          if (this.#isKnown) this.#receive(frame);
          else this.#greet(frame);
        },
        over: () => this.emit("cancelled"),
        drained: () => this.emit("drain"),
      },
    );
  }

  write(frame: ResponseFrame): boolean {
    return this.#frames.write(responsesFrame(frame));
  }
  pause(): void {
    this.#frames.pause();
  }
  resume(): void {
    this.#frames.resume();
  }
  end(): void {
    this.#frames.end();
  }

  #refuse(refusal: Refusal): void {
    this.#frames.refuse(refusal);
    this.emit("cancelled");
  }

  /** Nothing else is read before it is decided who calls. */
  #greet(frame: Buffer): void {
    const greeting = readGreeting(frame);
    if (greeting === undefined) return this.#refuse(refuse("INVALID", "the first frame must be a greeting"));
    const { token } = greeting;
    const caller = this.#needs.authenticator.authenticate(token === "" ? undefined : token, this.#identity);
    this.#isKnown = true;
    this.#frames.takeUpTo(grpcMessageBytesMax);
    if (!(caller instanceof Promise)) return this.#begin(caller);
    this.#frames.pause();
    void caller.then((found) => {
      this.#begin(found);
      this.#frames.resume();
    });
  }

  #begin(caller: Caller | Refusal): void {
    if (isRefusal(caller)) return this.#refuse(caller);
    const { box, defer, lockWaiters } = this.#needs;
    const refused = (refusal: Refusal) => this.#refuse(refusal);
    new SessionDoor({ box, caller, stream: this, refuse: refused, defer, lockWaiters }).start();
  }

  #receive(frame: Buffer): void {
    let requests: RequestFrame | undefined;
    try {
      requests = readRequests(frame);
    } catch (cause) {
      return this.#refuse(refuse("INVALID", `a batch that cannot be read: ${messageOf(cause)}`));
    }
    if (requests === undefined) this.#refuse(refuse("INVALID", "a frame that is no batch of requests"));
    else this.emit("data", requests);
  }
}
