import { MemoryNetwork } from "../transport/memory.ts";
import type { MemoryHub } from "../transport/memory-hub.ts";
import type { BulkServer, LinkHandler, SelfAddress, ServeHandler, Service } from "../transport/ports.ts";
import type { Life } from "./life.ts";

/** A process's end of the simulated network: what arrives while the process is paused waits for it. */
export class ProcessNetwork extends MemoryNetwork {
  readonly #life: Life;
  /** Told of every raft frame before it leaves. */
  onFrame: ((bytes: Uint8Array) => void) | undefined;

  constructor(hub: MemoryHub, init: { self: SelfAddress; endpoint: string; life: Life }) {
    super(hub, init.self, init.endpoint);
    this.#life = init.life;
  }

  override onLink(service: Service, handler: LinkHandler): void {
    const life = this.#life;
    super.onLink(service, {
      up: (remote) => life.run(() => handler.up(remote)),
      down: (box, reason) => life.run(() => handler.down(box, reason)),
      failed: (box, reason) => life.run(() => handler.failed?.(box, reason)),
      frame: (remote, bytes) => life.run(() => handler.frame(remote, bytes)),
    });
  }

  override onServe(service: Service, handler: ServeHandler): void {
    const life = this.#life;
    super.onServe(service, {
      admit: (remote) => handler.admit(remote),
      frame: (session, bytes) => life.run(() => handler.frame(session, bytes)),
      closed: (session) => life.run(() => handler.closed(session)),
    });
  }

  override send(service: Service, box: string, message: Uint8Array): boolean {
    if (service === "raft") this.onFrame?.(message);
    return super.send(service, box, message);
  }

  override accept(...caller: Parameters<MemoryNetwork["accept"]>): string | undefined {
    return this.#life.paused ? "nobody answers" : super.accept(...caller);
  }

  serveBulk(server: BulkServer): void {
    const life = this.#life;
    this.bulkServer = {
      snapshot: (from, start, data) => life.turn().then(() => server.snapshot(from, start, data)),
      putChunk: (from, chunk, data) => life.turn().then(() => server.putChunk(from, chunk, data)),
      getChunk: (from, chunk) => life.turn().then(() => server.getChunk(from, chunk)),
    };
  }
}
