import type { Clock } from "../base/clock.ts";

interface Peer {
  heardMs: number;
  sentMs: number;
  /** Quiet groups shared with the box. */
  quiet: number;
  /** Its silence was reported. */
  silent: boolean;
}

/**
 * Who is alive, by box and not by group: a group that stopped ticking relies on signs of life that its boxes exchange
 * once for all groups. Any frame is one; an empty frame is sent only when nothing else was.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(box: string): void {
    const peer = this.#of(box);
    peer.heardMs = this.#clock.now();
    peer.silent = false;
  }

  sent(box: string): void {
    this.#of(box).sentMs = this.#clock.now();
  }

  /** A group with this box became quiet (+1) or woke (-1). */
  addQuiet(box: string, count: 1 | -1): void {
    const peer = this.#of(box);
    if (peer.quiet === 0) {
      peer.heardMs = this.#clock.now();
      peer.silent = false;
    }
    peer.quiet += count;
  }

  /** Boxes that share quiet groups and were sent nothing for `afterMs`. */
  toSend(afterMs: number): string[] {
    const before = this.#clock.now() - afterMs;
    const boxes: string[] = [];
    for (const [box, peer] of this.#peers) if (peer.quiet > 0 && peer.sentMs <= before) boxes.push(box);
    return boxes;
  }

  /** Boxes that share quiet groups and were not heard for `afterMs`; each silence is told once. */
  fellSilent(afterMs: number): string[] {
    const before = this.#clock.now() - afterMs;
    const boxes: string[] = [];
    for (const [box, peer] of this.#peers) {
      if (peer.quiet === 0 || peer.silent || peer.heardMs > before) continue;
      peer.silent = true;
      boxes.push(box);
    }
    return boxes;
  }

  /** A box that shares quiet groups is taken for dead. */
  isSilent(box: string): boolean {
    return this.#peers.get(box)?.silent ?? false;
  }

  /** This box itself was not running: nobody's silence in that time counts. */
  forgive(): void {
    const now = this.#clock.now();
    for (const peer of this.#peers.values()) peer.heardMs = now;
  }

  #of(box: string): Peer {
    let peer = this.#peers.get(box);
    if (peer === undefined) {
      peer = { heardMs: this.#clock.now(), sentMs: Number.NEGATIVE_INFINITY, quiet: 0, silent: false };
      this.#peers.set(box, peer);
    }
    return peer;
  }
}
