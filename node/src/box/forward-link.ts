import { type Request, RequestFrame, type Response, ResponseFrame } from "@nexus-federation/proto/request.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { readable } from "../base/readable.ts";
import { Silence } from "../base/silence.ts";
import { TurnoverMap } from "../base/turnover-map.ts";
import { messageBytesMax, type PeerNetwork, type Session } from "../transport/ports.ts";
import { areYouThere } from "../transport/question.ts";
import { refusal } from "../zones/answers.ts";
import type { Caller } from "./api.ts";
import type { Forward, ForwardOutcome } from "./ports.ts";

/** How exactly time-outs of forwarded requests are kept, ms. */
const sweepMs = 20;
/** Requests under way to one box, at most. */
const pendingMax = 20_000;

interface Pending {
  id: number;
  deadlineMs: number;
  done: (outcome: ForwardOutcome) => void;
}

/** What one box owes. */
interface Owed {
  pending: TurnoverMap<number, Pending>;
  silence: Silence;
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

/**
 * Requests over the forward streams: ids, time-outs and what a broken stream means, on top of bytes. A box that hangs or
 * is cut off keeps its stream for seconds; what it owes is broken as soon as it does not answer the small question.
 */
export class ForwardLinks implements Forward {
  readonly #owed = new Map<string, Owed>();
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
    return this.#needs.network.isUp("forward", box) && !this.#owed.get(box)?.silence.isSilent;
  }

  send(box: string, request: Request, timeoutMs: number, done: (outcome: ForwardOutcome) => void): void {
    const { network, clock } = this.#needs;
    const id = this.#nextId++;
    const bytes = RequestFrame.encode({ requests: [{ ...request, id }] }).finish();
    if (bytes.length > messageBytesMax) {
      const tooLarge = refuse("TOO_LARGE", `a request has at most ${messageBytesMax} bytes; ${bytes.length} came`);
      return done({ kind: "answer", response: refusal(tooLarge) });
    }
    const { pending, silence } = this.#of(box);
    if (pending.size >= pendingMax) return done({ kind: "unsent", reason: `${pendingMax} requests wait for ${box}` });
    if (!this.isUp(box) || !network.send("forward", box, bytes)) {
      return done({ kind: "unsent", reason: `box ${box} is not connected` });
    }
    pending.set(id, { id, deadlineMs: clock.now() + timeoutMs, done });
    this.#count++;
    silence.sent();
    this.#sweeper ??= clock.after(sweepMs, () => this.#sweep());
  }

  doubt(box: string): void {
    this.#owed.get(box)?.silence.doubt();
  }

  #of(box: string): Owed {
    let owed = this.#owed.get(box);
    if (owed === undefined) {
      const { network, clock } = this.#needs;
      const pending = new TurnoverMap<number, Pending>();
      const silence = new Silence(clock, {
        owes: () => pending.size > 0,
        ask: (question) => void network.send("forward", box, RequestFrame.encode(areYouThere(question)).finish()),
        silent: () => this.#break(pending, `box ${box} hangs`),
      });
      owed = { pending, silence };
      this.#owed.set(box, owed);
    }
    return owed;
  }

  #down(box: string, reason: string): void {
    const owed = this.#owed.get(box);
    if (owed === undefined) return;
    this.#owed.delete(box);
    owed.silence.end();
    this.#break(owed.pending, `the stream to ${box} broke: ${reason}`);
  }

  #break(pending: TurnoverMap<number, Pending>, reason: string): void {
    const broken = [...pending.values()];
    pending.clear();
    this.#count -= broken.length;
    for (const { done } of broken) done({ kind: "broken", reason });
  }

  #answers(box: string, bytes: Uint8Array): void {
    const owed = this.#owed.get(box);
    if (owed === undefined) return;
    owed.silence.heard();
    // Of bytes that are no frame nothing is heard: what was asked runs into its time-out.
    for (const response of readable(ResponseFrame, bytes)?.responses ?? []) {
      const waiting = owed.pending.get(response.id);
      if (waiting === undefined) {
        owed.silence.answered(response.id);
        continue;
      }
      owed.pending.delete(response.id);
      this.#count--;
      waiting.done({ kind: "answer", response });
    }
  }

  #sweep(): void {
    const now = this.#needs.clock.now();
    for (const [box, { pending }] of this.#owed) {
      const late = [...pending.values()].filter(({ deadlineMs }) => deadlineMs <= now);
      for (const { id, done } of late) {
        if (!pending.delete(id)) continue;
        this.#count--;
        done({ kind: "broken", reason: `box ${box} did not answer in time` });
      }
    }
    this.#sweeper = this.#count === 0 ? undefined : this.#needs.clock.after(sweepMs, () => this.#sweep());
  }

  #requests(session: Session, bytes: Uint8Array): void {
    // Bytes that are no frame cannot be answered without ids.
    for (const request of readable(RequestFrame, bytes)?.requests ?? []) {
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
