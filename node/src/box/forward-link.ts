import { type Request, RequestFrame, type Response, ResponseFrame } from "@nexus-federation/proto/request.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { messageOf, type Refusal, refuse } from "../base/errors.ts";
import { messageBytesMax, type PeerNetwork, type Session } from "../transport/ports.ts";
import { refusal } from "../zones/answers.ts";
import type { Caller } from "./api.ts";
import type { Forward, ForwardOutcome } from "./ports.ts";

/** How exactly time-outs of forwarded requests are kept, ms. */
const sweepMs = 20;
/** Requests under way to one box, at most. */
const pendingMax = 20_000;

interface Pending {
  deadlineMs: number;
  done: (outcome: ForwardOutcome) => void;
}

/** What serves requests that other boxes forward. */
export type ServeForwarded = (request: Request, caller: Caller, done: (response: Response) => void) => void;

export interface ForwardLinksNeeds {
  network: PeerNetwork;
  clock: Clock;
  serve: ServeForwarded;
  /** Whether a box with that incarnation may speak here. */
  admit: (box: string, incarnation: Uint8Array) => Refusal | undefined;
}

/** Requests over the forward streams: ids, time-outs and what a broken stream means, on top of bytes. */
export class ForwardLinks implements Forward {
  readonly #pending = new Map<string, Map<number, Pending>>();
  readonly #needs: ForwardLinksNeeds;
  #nextId = 1;
  #count = 0;
  #sweeper: Timer | undefined;

  constructor(needs: ForwardLinksNeeds) {
    this.#needs = needs;
    needs.network.onLink("forward", {
      up: () => undefined,
      down: (box, reason) => this.#down(box, reason),
      frame: (remote, bytes) => this.#answers(remote.box, bytes),
    });
    needs.network.onServe("forward", {
      admit: (remote) => needs.admit(remote.box, remote.incarnation),
      frame: (session, bytes) => this.#requests(session, bytes),
      closed: () => undefined,
    });
  }

  isUp(box: string): boolean {
    return this.#needs.network.isUp("forward", box);
  }

  send(box: string, request: Request, timeoutMs: number, done: (outcome: ForwardOutcome) => void): void {
    const { network, clock } = this.#needs;
    const id = this.#nextId++;
    const bytes = RequestFrame.encode({ requests: [{ ...request, id }] }).finish();
    if (bytes.length > messageBytesMax) {
      const tooLarge = refuse("TOO_LARGE", `a request has at most ${messageBytesMax} bytes; ${bytes.length} came`);
      return done({ kind: "answer", response: refusal(tooLarge) });
    }
    const pending = this.#pending.get(box) ?? new Map<number, Pending>();
    if (pending.size >= pendingMax) return done({ kind: "unsent", reason: `${pendingMax} requests wait for ${box}` });
    if (!network.isUp("forward", box) || !network.send("forward", box, bytes)) {
      return done({ kind: "unsent", reason: `box ${box} is not connected` });
    }
    pending.set(id, { deadlineMs: clock.now() + timeoutMs, done });
    this.#pending.set(box, pending);
    this.#count++;
    this.#sweeper ??= clock.after(sweepMs, () => this.#sweep());
  }

  #down(box: string, reason: string): void {
    const pending = this.#pending.get(box);
    if (pending === undefined) return;
    this.#pending.delete(box);
    this.#count -= pending.size;
    for (const { done } of pending.values()) done({ kind: "broken", reason: `the stream to ${box} broke: ${reason}` });
  }

  #answers(box: string, bytes: Uint8Array): void {
    const pending = this.#pending.get(box);
    if (pending === undefined) return;
    for (const response of ResponseFrame.decode(bytes).responses) {
      const waiting = pending.get(response.id);
      if (waiting === undefined) continue;
      pending.delete(response.id);
      this.#count--;
      waiting.done({ kind: "answer", response });
    }
  }

  #sweep(): void {
    const now = this.#needs.clock.now();
    for (const [box, pending] of this.#pending) {
      for (const [id, { deadlineMs, done }] of pending) {
        if (deadlineMs > now) continue;
        pending.delete(id);
        this.#count--;
        done({ kind: "broken", reason: `box ${box} did not answer in time` });
      }
    }
    this.#sweeper = this.#count === 0 ? undefined : this.#needs.clock.after(sweepMs, () => this.#sweep());
  }

  #requests(session: Session, bytes: Uint8Array): void {
    let requests: Request[];
    try {
      requests = RequestFrame.decode(bytes).requests;
    } catch (error) {
      // The peer's certificate is good, its bytes are not: nothing can be answered without ids.
      void messageOf(error);
      return;
    }
    for (const request of requests) {
      const caller: Caller = {
        principal: request.options?.principal ?? "",
        kind: "box",
        check: () => undefined,
      };
      this.#needs.serve(request, caller, (response) => this.#reply(session, request.id, response));
    }
  }

  #reply(session: Session, id: number, response: Response): void {
    response.id = id;
    let bytes = ResponseFrame.encode({ responses: [response] }).finish();
    if (bytes.length > messageBytesMax) {
      const tooLarge = refusal(
        refuse("TOO_LARGE", "the answer is above the size of one message; ask for smaller pages"),
      );
      bytes = ResponseFrame.encode({ responses: [{ ...tooLarge, id }] }).finish();
    }
    session.reply(bytes);
  }
}
