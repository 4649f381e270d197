// Clients that keep writing and reading while faults happen, and what must hold of what they saw: every acknowledged
// write is read back, and every register is linearizable.
import { createHash, randomBytes } from "node:crypto";
import type { NexusError } from "@nexus-federation/node/base/errors.ts";
import type { NexusClient } from "@nexus-federation/node/client/client.ts";
import { type Acknowledgement, longestGap, outcomeOf, Refusals, recoveredAfter } from "./answers.ts";
import { History } from "./history.ts";
import { wrongPaths } from "./linearizable.ts";
import { pause } from "./run.ts";

export interface WorkloadSettings {
  /** Folder of the tree that it works in. */
  path: string;
  /** Clients that each write new files, one after the other. */
  writers: number;
  /** Clients that each read, write and swap registers. */
  registerClients: number;
  registers: number;
  /** Time between two calls of a client. */
  pauseMs: number;
  /** Time of one call, retries included. */
  timeoutMs: number;
}

const workloadDefaults: WorkloadSettings = {
  path: "/load",
  writers: 4,
  registerClients: 4,
  registers: 4,
  pauseMs: 8,
  timeoutMs: 10_000,
};

export interface Acknowledged extends Acknowledgement {
  path: string;
  content: string;
  copies: number;
  degraded: boolean;
}

export class Workload {
  readonly acknowledged: Acknowledged[] = [];
  readonly history = new History();
  readonly refused = new Refusals();
  readonly #client: NexusClient;
  readonly #settings: WorkloadSettings;
  #running = true;
  readonly #clients: Promise<void>[] = [];

  constructor(client: NexusClient, settings: Partial<WorkloadSettings> = {}) {
    this.#client = client;
    this.#settings = { ...workloadDefaults, ...settings };
  }

  start(): this {
    const { writers, registerClients } = this.#settings;
    for (let i = 0; i < writers; i++) this.#clients.push(this.#write(i));
    for (let i = 0; i < registerClients; i++) this.#clients.push(this.#useRegisters(i));
    return this;
  }

  /** Ends the clients once their calls in flight are answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  /** See answers.ts. */
  recoveredAfter(faultMs: number): number | undefined {
    return recoveredAfter(this.acknowledged, faultMs);
  }

  /** Of times without any acknowledgement between two moments, ms. */
  longestGap(fromMs: number, toMs: number): number {
    return longestGap(this.acknowledged, fromMs, toMs).ms;
  }

  /** Paths of acknowledged writes that are gone or other than written; empty when all is well. */
  async missing(client = this.#client): Promise<string[]> {
    const wrong: string[] = [];
    const queue = [...this.acknowledged];
    const check = async () => {
      for (let next = queue.pop(); next; next = queue.pop()) {
        const found = await client.get(next.path, { timeoutMs: 20_000 }).catch((error: NexusError) => error);
        const content = found instanceof Error ? found.message : Buffer.from(found.content).toString();
        if (content !== next.content) wrong.push(`${next.path}: ${content.slice(0, 100)}`);
      }
    };
    await Promise.all(Array.from({ length: 32 }, check));
    return wrong;
  }

  /** Registers whose histories no order explains. */
  wrongRegisters(): string[] {
    return wrongPaths(this.history.lines);
  }

  async #write(client: number): Promise<void> {
    for (let n = 0; this.#running; n++) {
      const path = `${this.#settings.path}/files/${client}/${n}`;
      const content = `${client} ${n} ${randomBytes(8).toString("hex")}`;
      const invokedMs = performance.now();
      try {
        const { receipt } = await this.#client.put(path, content, { timeoutMs: this.#settings.timeoutMs });
        const { copies, degraded } = receipt;
        this.acknowledged.push({ path, content, invokedMs, atMs: performance.now(), copies, degraded });
      } catch (error) {
        this.refused.count(error);
      }
      await pause(this.#settings.pauseMs);
    }
  }

  async #useRegisters(client: number): Promise<void> {
    const seen = new Map<string, string>();
    for (let n = 0; this.#running; n++) {
      const path = `${this.#settings.path}/registers/${Math.floor(Math.random() * this.#settings.registers)}`;
      const kind = n % 3 === 0 ? "write" : seen.get(path) && n % 3 === 1 ? "cas" : "read";
      await (kind === "read" ? this.#read(client, path, seen) : this.#change(client, path, kind, seen));
      await pause(this.#settings.pauseMs);
    }
  }

  async #read(client: number, path: string, seen: Map<string, string>): Promise<void> {
    const id = this.history.invoke({ client, kind: "read", path, value: "", expected: "" });
    try {
      const { info, receipt } = await this.#client.stat(path, { timeoutMs: this.#settings.timeoutMs });
      const value = Buffer.from(info.etag).toString("hex");
      seen.set(path, value);
      this.history.complete(id, { outcome: "ok", value, copies: receipt.copies, degraded: receipt.degraded });
    } catch (error) {
      if ((error as NexusError).code === "NOT_FOUND") return this.history.complete(id, { outcome: "ok", value: "" });
      this.history.complete(id, { outcome: "none", code: this.refused.count(error) });
    }
  }

  async #change(client: number, path: string, kind: "write" | "cas", seen: Map<string, string>): Promise<void> {
    const content = randomBytes(12).toString("hex");
    const value = createHash("sha256").update(content).digest("hex");
    const expected = kind === "cas" ? seen.get(path)! : "";
    const id = this.history.invoke({ client, kind, path, value, expected });
    const condition = kind === "cas" ? { ifMatch: Buffer.from(expected, "hex") } : {};
    try {
      const { receipt } = await this.#client.put(path, content, {
        timeoutMs: this.#settings.timeoutMs,
        ...condition,
      });
      seen.set(path, value);
      this.history.complete(id, { outcome: "ok", copies: receipt.copies, degraded: receipt.degraded });
    } catch (error) {
      const code = this.refused.count(error);
      this.history.complete(id, { outcome: outcomeOf(code), code });
    }
  }
}
