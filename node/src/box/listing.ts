import type { FileInfo, Receipt } from "@nexus-federation/proto/records.ts";
import type { ListPath, Response } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import { isRefusal } from "../base/errors.ts";
import { type ListedName, mergeListing } from "../tree/listing.ts";
import { parseAddress } from "../tree/path.ts";
import type { NameBelow } from "../tree/rules.ts";
import { answer, failureIn } from "../zones/answers.ts";
import type { Ask } from "./ask.ts";
import type { Directory } from "./directory.ts";

/** Zones asked for one listing whether they can be reached; those beyond are shown as they were last seen. */
const probesMax = 64;
/** Time for a zone to show that it can be reached, ms. */
const probeMs = 800;
/** An answer about a zone is good for that long, ms. */
const seenMs = 1_000;
const seenMax = 10_000;

const unreachableCodes: ReadonlySet<string> = new Set([
  "NO_LEADER",
  "AUTHORITY_UNREACHABLE",
  "ZONE_UNAVAILABLE",
  "DEADLINE",
  "UNKNOWN_OUTCOME",
]);

interface Seen {
  atMs: number;
  unavailable: boolean;
}

/** Adds to a zone's listing the names through which deeper rules are reached. */
export class Listings {
  readonly #seen = new Map<string, Seen>();
  readonly #directory: Directory;
  readonly #ask: Ask;
  readonly #clock: Clock;

  constructor(needs: { directory: Directory; ask: Ask; clock: Clock }) {
    this.#directory = needs.directory;
    this.#ask = needs.ask;
    this.#clock = needs.clock;
  }

  /** Names of deeper rules directly below a listed federation path; none for a zone address. */
  below(list: ListPath, zone: string): NameBelow[] {
    if (zone !== "" || list.recursive) return [];
    const address = parseAddress(list.path);
    if (isRefusal(address) || address.zone !== undefined) return [];
    return this.#directory.trie.childrenBelow(address.path);
  }

  /**
   * The answer of the owning zone with `below` merged in. Where no zone owns the listed path, or the directory exists
   * in no zone, the names stand alone: they can be entered, so they can be seen.
   */
  async merge(list: ListPath, below: readonly NameBelow[], own: Response): Promise<Response> {
    const failure = failureIn(own);
    if (failure !== undefined && failure.code !== "NO_ZONE" && failure.code !== "NOT_FOUND") return own;
    const named = await this.#named(below.slice(0));
    const listing = own.result?.$case === "listing" ? own.result.value : { entries: [] as FileInfo[], nextPage: "" };
    const { path, prefix, page } = list;
    const merged = mergeListing({ path, own: listing, below: named, after: page, prefix });
    const response = answer({ $case: "listing", value: merged }, own.receipt ?? bareReceipt(this.#directory.epoch));
    response.servedBy = own.servedBy;
    return response;
  }

  async #named(below: readonly NameBelow[]): Promise<ListedName[]> {
    const states = below.map((name, i) => this.#unavailable(name, i < probesMax));
    const unavailable = await Promise.all(states);
    return below.map((name, i) => ({ ...name, unavailable: unavailable[i] === true }));
  }

  async #unavailable({ rule }: NameBelow, mayAsk: boolean): Promise<boolean> {
    if (rule === undefined) return false;
    const seen = this.#seen.get(rule.zone);
    const fresh = seen !== undefined && this.#clock.now() - seen.atMs < seenMs;
    if (fresh || !mayAsk) return seen?.unavailable ?? false;
    // A feed read from now on names no path, so the zone need not own its root to answer.
    const response = await this.#ask(
      {
        $case: "feed",
        value: { path: "/", afterIndex: 0, generation: 0, limit: 1, fromNow: true, waitMs: 0 },
      },
      { zone: rule.zone, options: { timeoutMs: probeMs, readPreference: "nearest" } },
    );
    const code = failureIn(response)?.code;
    const unavailable = code !== undefined && unreachableCodes.has(code);
    if (this.#seen.size >= seenMax) this.#seen.clear();
    this.#seen.set(rule.zone, { atMs: this.#clock.now(), unavailable });
    return unavailable;
  }
}

/** For what no zone answers: the names of rules are known from the map of this epoch. */
function bareReceipt(epoch: number): Receipt {
  return {
    zone: "",
    mode: "",
    epoch,
    generation: 0,
    index: 0,
    stalenessMs: 0,
    copies: 0,
    regions: [],
    degraded: false,
    fence: "",
    logTimeMs: 0,
    token: Buffer.alloc(0),
  };
}
