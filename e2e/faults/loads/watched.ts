// The change feed as a history: writes append to the list of what a path was, in the order of the log, and what a watcher
// was told of a path in the end is one read of that list. A change that was left out, told twice or told in another order
// is a list that no order of the writes explains.
import { randomBytes } from "node:crypto";
import type { NexusClient } from "@nexus-federation/node/client/client.ts";
import { until } from "../../harness/run.ts";
import type { Desk, Load } from "./load.ts";
import { etagOf } from "./registers.ts";

const paths = 4;
const folder = "watched";
const toldMsMax = 90_000;

export async function writeWatched(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const path = load.at(folder, load.below(paths));
  const content = randomBytes(8).toString("hex");
  const call = { client: desk.number, model: "list" as const, kind: "append" as const, path, expected: "" };
  const id = load.history.invoke({ ...call, value: etagOf(content) });
  const invokedMs = performance.now();
  try {
    await client.put(path, content, { timeoutMs: load.settings.timeoutMs });
    load.history.complete(id, { outcome: "ok" });
    load.acknowledge(invokedMs);
  } catch (error) {
    load.refuse(id, path, load.outcomeOf(error));
  }
}

/** Follows the changes through all faults. */
export class Watcher {
  readonly #load: Load;
  readonly #client: NexusClient;
  readonly #end = new AbortController();
  /** Etags by path, in the order told. */
  readonly #told = new Map<string, string[]>();
  readonly #marker: string;
  #following: Promise<void> = Promise.resolve();

  constructor(load: Load, client: NexusClient) {
    this.#load = load;
    this.#client = client;
    this.#marker = `${load.settings.path}/${folder}/end`;
  }

  /** Returns when it hears of changes. */
  async start(): Promise<this> {
    this.#following = this.#follow().catch((error) => void this.#load.wrong.push(`the watch ended: ${error}`));
    await this.#heardOf(`${this.#marker}/began`);
    return this;
  }

  /** Waits for the last change and writes down what was told. */
  async finish(): Promise<void> {
    await this.#heardOf(`${this.#marker}/ended`);
    this.#end.abort();
    await this.#following;
    for (const [path, etags] of this.#told) {
      if (path.startsWith(this.#marker)) continue;
      const call = { client: -1, model: "list" as const, kind: "read" as const, path, value: "", expected: "" };
      this.#load.history.complete(this.#load.history.invoke(call), { outcome: "ok", value: etags.join(",") });
    }
  }

  stop(): void {
    this.#end.abort();
  }

  /** A new one is told at last, even when the watch began after the first. */
  async #heardOf(path: string): Promise<void> {
    const look = async () => {
      if (this.#told.has(path)) return true;
      await this.#client.put(path, "x", { timeoutMs: this.#load.settings.timeoutMs });
      return this.#told.has(path);
    };
    await until(`the watcher is told of ${path}`, look, toldMsMax);
  }

  async #follow(): Promise<void> {
    const watched = this.#client.watch(`${this.#load.settings.path}/${folder}`, { signal: this.#end.signal });
    for await (const { events } of watched) {
      for (const { path, info } of events) {
        const told = this.#told.get(path) ?? [];
        this.#told.set(path, told);
        if (info) told.push(Buffer.from(info.etag).toString("hex"));
      }
    }
  }
}
