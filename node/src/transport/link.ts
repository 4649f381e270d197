import { assert } from "../base/assert.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock, Random, Timer } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Credentials } from "./credentials.ts";
import { dial } from "./dial.ts";
import { batchFields, handshakeFrame, readField, readHandshake } from "./frames.ts";
import { checkAnswer, handshakeOf, remoteOf } from "./handshake.ts";
import type { LinkHandler, PeerAddress, Remote, SelfAddress, Service } from "./ports.ts";
import { FrameWriter, type Traffic, type WriterLimits } from "./raw.ts";
import type { DialTarget, PeerStream } from "./streams.ts";

export interface LinkNeeds {
  clock: Clock;
  random: Random;
  self: SelfAddress;
  /** Asked at each connect, so that renewed certificates are used. */
  credentials: () => Credentials;
}

export interface LinkInit {
  service: Service;
  peer: PeerAddress;
  handler: LinkHandler;
  settings: LinkSettings;
  /** Where bytes are counted. */
  traffic: Traffic;
}

export interface LinkSettings {
  /** From connect to the peer's handshake. */
  handshakeTimeoutMs: number;
  /** Delay before the first and the longest reconnect. */
  reconnectFirstMs: number;
  reconnectMaxMs: number;
  writer?: WriterLimits;
}

export const linkSettings: LinkSettings = { handshakeTimeoutMs: 2_000, reconnectFirstMs: 20, reconnectMaxMs: 1_000 };

/** One connection's life. Callbacks of an attempt that is no longer the link's are ignored. */
interface Attempt {
  stream: PeerStream;
  /** Of the handshake. */
  timer: Timer;
  remote: Remote | undefined;
}

/**
 * The one outgoing stream to a peer for one service, on a connection of its own. It reconnects for as long as it is not
 * closed, each time with the current certificates.
 */
export class Link {
  readonly service: Service;
  readonly writer: FrameWriter;
  readonly #needs: LinkNeeds;
  readonly #settings: LinkSettings;
  readonly #handler: LinkHandler;
  readonly #backoff: Backoff;
  readonly #traffic: Traffic;
  #peer: PeerAddress;
  #attempt: Attempt | undefined;
  #waiting: Timer | undefined;
  #closed = false;

  constructor(needs: LinkNeeds, init: LinkInit) {
    this.#needs = needs;
    this.service = init.service;
    this.#peer = init.peer;
    this.#handler = init.handler;
    this.#settings = init.settings;
    this.#traffic = init.traffic;
    const { reconnectFirstMs, reconnectMaxMs } = init.settings;
    this.#backoff = new Backoff(needs.random, { firstMs: reconnectFirstMs, maxMs: reconnectMaxMs, factor: 2 });
    this.writer = new FrameWriter((fn) => needs.clock.soon(fn), {
      field: batchFields[init.service].request,
      overflow: init.service === "raft" ? "drop-oldest" : "refuse",
      limits: init.settings.writer,
      traffic: init.traffic,
    });
    this.#connect();
  }

  get isUp(): boolean {
    return this.#attempt?.remote !== undefined;
  }

  /** Talks to the new address from now on. */
  move(peer: PeerAddress): void {
    this.#peer = peer;
    this.#backoff.reset();
    this.#fail(this.#attempt, "the peer's address changed");
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting?.cancel();
    this.#fail(this.#attempt, "closed here");
  }

  #connect(): void {
    assert(this.#attempt === undefined, "a link has one connection");
    const { clock } = this.#needs;
    let attempt: Attempt | undefined;
    const events = {
      frame: (frame: Buffer) => attempt !== undefined && this.#receive(attempt, frame),
      over: (reason: string) => attempt !== undefined && this.#fail(attempt, reason),
    };
    let stream: PeerStream;
    try {
      stream = dial(this.#target(), clock, events);
    } catch (error) {
      this.#handler.failed?.(this.#peer.box, messageOf(error));
      this.#retry();
      return;
    }
    const timer = clock.after(this.#settings.handshakeTimeoutMs, () => this.#fail(attempt, "no handshake in time"));
    attempt = { stream, timer, remote: undefined };
    this.#attempt = attempt;
  }

  #target(): DialTarget {
    const { self, credentials } = this.#needs;
    const { box, endpoint } = this.#peer;
    const greeting = handshakeFrame(handshakeOf(self, this.#peer));
    return { own: credentials(), federation: self.federation, box, endpoint, service: this.service, greeting };
  }

  #receive(attempt: Attempt, frame: Buffer): void {
    if (attempt !== this.#attempt) return;
    this.#traffic.receivedBytes += frame.length;
    if (attempt.remote === undefined) {
      this.#answered(attempt, frame);
      return;
    }
    const batch = readField(frame, batchFields[this.service].reply);
    if (batch === undefined) this.#fail(attempt, "a frame that is no batch");
    else this.#handler.frame(attempt.remote, batch);
  }

  #answered(attempt: Attempt, frame: Buffer): void {
    const handshake = readHandshake(frame);
    const refusal = checkAnswer(this.#needs.self, this.#peer, handshake);
    if (refusal !== undefined || handshake === undefined) {
      this.#fail(attempt, refusal?.message ?? "no handshake");
      return;
    }
    attempt.timer.cancel();
    attempt.remote = remoteOf(handshake);
    this.#backoff.reset();
    this.#handler.up(attempt.remote);
    this.writer.open(attempt.stream);
  }

  /** Ends the attempt, reports it if it was up, and tries again later. */
  #fail(attempt: Attempt | undefined, reason: string): void {
    if (attempt !== undefined && attempt === this.#attempt) {
      this.#attempt = undefined;
      attempt.timer.cancel();
      this.writer.close();
      attempt.stream.destroy();
      if (attempt.remote !== undefined) this.#handler.down(this.#peer.box, reason);
      else if (!this.#closed) this.#handler.failed?.(this.#peer.box, reason);
    } else if (attempt !== undefined) return;
    this.#retry();
  }

  #retry(): void {
    if (this.#closed) return;
    this.#waiting?.cancel();
    this.#waiting = this.#needs.clock.after(this.#backoff.nextMs(), () => this.#connect());
  }
}
