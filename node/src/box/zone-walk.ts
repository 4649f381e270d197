import type { FileInfo, Listing } from "@nexus-federation/proto/records.ts";
import { hexOf, utf8 } from "../base/bytes.ts";
import { isRefusal, type Refusal } from "../base/errors.ts";
import type { Hashing } from "./ports.ts";

/** One page of a directory, zone paths. */
export type ListPage = (path: string, page: string) => Promise<Listing | Refusal>;

/** Every entry of a zone below its root, a directory before what is in it, names in order. */
export async function* walkZone(list: ListPage): AsyncGenerator<FileInfo | Refusal, void, void> {
  const open = ["/"];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const directories: string[] = [];
    let page = "";
    do {
      const listing = await list(path, page);
      if (isRefusal(listing)) {
        yield listing;
        return;
      }
      for (const entry of listing.entries) {
        const below = path === "/" ? `/${entry.name}` : `${path}/${entry.name}`;
        if (entry.type === "directory") directories.push(below);
        yield { ...entry, path: below };
      }
      page = listing.nextPage;
    } while (page !== "");
    open.push(...directories.reverse());
  }
}

/** Digest of what a zone holds, whatever its name, revisions and times: equal content, equal digest. */
export class ZoneDigest {
  readonly #hash: ReturnType<Hashing["running"]>;

  constructor(hashing: Hashing) {
    this.#hash = hashing.running();
  }
  add(info: FileInfo): void {
    const metadata = Object.entries(info.metadata).sort(([a], [b]) => (a < b ? -1 : 1));
    const row = [info.path, info.type, info.size, hexOf(info.etag), info.contentType, metadata];
    this.#hash.update(utf8(`${JSON.stringify(row)}\n`));
  }
  finish(): Uint8Array {
    return this.#hash.digest();
  }
}
