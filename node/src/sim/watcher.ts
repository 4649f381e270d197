import type { FeedPage } from "@nexus-federation/proto/request.ts";
import { refusalIn } from "../box/ask.ts";
import { Client } from "./client.ts";
import { feedOf } from "./requests.ts";
import { require } from "./violation.ts";

/** A client that follows the main zone's change feed: nothing may be missing, early, or there twice. */
export class Watcher extends Client {
  #cursor = { generation: 0, index: 0 };

  protected override async one(): Promise<void> {
    const { generation, index: afterIndex } = this.#cursor;
    const request = feedOf({ afterIndex, generation, limit: 1 + this.below(20), waitMs: this.below(3) * 100 });
    const { response } = await this.ask(this.someBox(), request);
    if (response === undefined) return;
    const code = refusalIn(response)?.code;
    // A watch that fell behind, or whose zone began anew elsewhere, reads everything and begins again.
    if (code === "COMPACTED" || code === "GENERATION_CHANGED") this.#cursor = { generation: 0, index: 0 };
    if (response.result?.$case !== "feed") return;
    const { value: page } = response.result;
    const log = this.world.logs.get(page.zone);
    if (log === undefined) return;
    this.world.trace.note("feed", this.id, page.nextIndex, page.events.length);
    if (generation === page.generation) this.#check(log, page);
    this.#cursor = { generation: page.generation, index: page.nextIndex };
  }

  #check(log: number, page: FeedPage): void {
    const after = this.#cursor.index;
    const expected = this.world.facts(log, page.generation).eventsIn(after, page.nextIndex);
    const got = page.events.map((event) => event.index);
    require(String(got) === String(expected), () => {
      return `the feed of ${page.zone} from ${after} to ${page.nextIndex} has events at ${got}, they were made at ${expected}`;
    });
  }
}
