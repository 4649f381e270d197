import type { UploadHeader } from "@nexus-federation/proto/files.ts";
import type { ChunkRef } from "@nexus-federation/proto/records.ts";
import type { RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { asBuffer } from "../base/bytes.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import { addressOfDigest } from "../machine/chunks.ts";
import { chunkBytesMax } from "../transport/ports.ts";
import { refusal } from "../zones/answers.ts";
import { optionsRefusal } from "../zones/options.ts";
import type { Admission, Transfer } from "./admission.ts";
import type { Caller, Upload } from "./api.ts";
import { type Ask, noOptions, refusalIn } from "./ask.ts";
import type { Directory } from "./directory.ts";
import type { BoxLimits } from "./limits.ts";
import type { ChunkStore, ChunkTransfer, Hashing } from "./ports.ts";
import { route } from "./routing.ts";

/** Chunks of one upload that are on their way at once: bounds its memory. */
const pushesMax = 8;

export interface UploadNeeds {
  self: string;
  ask: Ask;
  directory: Directory;
  chunks: ChunkStore;
  transfer: ChunkTransfer;
  hashing: Hashing;
  admission: Admission;
  limits: BoxLimits;
}

/** Where chunks go, and since when the zone knows of the upload. */
interface Place {
  zone: string;
  log: number;
  boxes: string[];
  index: number;
}

/**
 * One file on its way in. Chunks are pushed to the zone's full members while the client still sends; the metadata is
 * proposed when all of them are durable on one member at least (the others pull what they lack before they acknowledge).
 */
export class UploadSession implements Upload {
  readonly #needs: UploadNeeds;
  readonly #header: UploadHeader;
  readonly #caller: Caller;
  readonly #options: RequestOptions;
  readonly #whole: ReturnType<Hashing["running"]>;
  readonly #abort = new AbortController();
  readonly #pushes = new Set<Promise<void>>();
  readonly #refs: ChunkRef[] = [];
  /** Whole chunk buffers whose chunk is stored; at most pushesMax. */
  readonly #free: Buffer<ArrayBuffer>[] = [];
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #buffered = 0;
  #size = 0;
  /** Of the whole, when it was hashed at once. */
  #etag: Uint8Array | undefined;
  #failed: Refusal | undefined;
  #place: Promise<Place | Refusal> | undefined;
  readonly #transfer: Transfer | Refusal;

  constructor(needs: UploadNeeds, header: UploadHeader, caller: Caller) {
    this.#needs = needs;
    this.#header = header;
    this.#caller = caller;
    this.#options = header.options ?? noOptions;
    this.#whole = needs.hashing.running();
    this.#transfer = needs.admission.enterTransfer(() =>
      this.#giveUp("it stood still or nearly so, and others wanted its place"),
    );
    this.#failed = isRefusal(this.#transfer) ? this.#transfer : undefined;
    this.#failed ??= optionsRefusal(this.#options);
    if (header.write === undefined)
      this.#failed ??= refuse("INVALID", "the first frame of an upload names the file to write");
  }

  async write(data: Uint8Array): Promise<Refusal | undefined> {
    if (!isRefusal(this.#transfer)) this.#transfer.moved(data.length);
    let at = 0;
    while (at < data.length && this.#failed === undefined) {
      at += this.#take(data.subarray(at));
      if (this.#buffered === chunkBytesMax) await this.#pushBuffer();
    }
    return this.#failed;
  }

  /** Copies as much as fits into the current chunk. */
  #take(data: Uint8Array): number {
    const count = Math.min(data.length, chunkBytesMax - this.#buffered);
    if (this.#size + count > this.#needs.limits.fileBytesMax) {
      this.#failed = refuse("TOO_LARGE", `a file has at most ${this.#needs.limits.fileBytesMax} bytes`);
      return 0;
    }
    const needed = this.#buffered + count;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(chunkBytesMax, Math.max(needed, this.#buffer.length * 4)));
      this.#buffer.copy(grown, 0, 0, this.#buffered);
      this.#buffer = grown;
    }
    this.#buffer.set(data.subarray(0, count), this.#buffered);
    this.#buffered = needed;
    this.#size += count;
    return count;
  }

  async #pushBuffer(isLast = false): Promise<void> {
    const used = this.#buffer;
    const chunk = used.subarray(0, this.#buffered);
    this.#buffer = this.#free.pop() ?? Buffer.allocUnsafe(chunkBytesMax);
    this.#buffered = 0;
    const digest = this.#needs.hashing.sha256(chunk);
    const address = asBuffer(addressOfDigest(digest));
    // What is one chunk has been hashed with it.
    if (isLast && this.#refs.length === 0) this.#etag = digest;
    else this.#whole.update(chunk);
    this.#refs.push({ address, size: chunk.length });
    this.#place ??= this.#findPlace();
    const push = this.#push(address, chunk).finally(() => {
      this.#pushes.delete(push);
      if (used.length === chunkBytesMax) this.#free.push(used);
    });
    this.#pushes.add(push);
    if (this.#pushes.size >= pushesMax) await Promise.race(this.#pushes);
  }

  /** The members that must hold the content, and the index that the file's entry names as the upload's start. */
  async #findPlace(): Promise<Place | Refusal> {
    const { directory, ask } = this.#needs;
    const write = this.#header.write;
    if (write === undefined) return refuse("INVALID", "the first frame of an upload names the file to write");
    const op = { $case: "mutate" as const, value: { op: { $case: "write" as const, value: write } } };
    const request = { id: 0, options: this.#options, zone: this.#header.zone, op };
    const routed = route(request, this.#caller, directory);
    if (isRefusal(routed)) return routed;
    const { zone, log, members } = routed.rule;
    const { timeoutMs } = this.#options;
    const found = await ask(
      { $case: "feed", value: { path: "/", afterIndex: 0, generation: 0, limit: 1, fromNow: true, waitMs: 0 } },
      { zone, options: { readPreference: "leader", timeoutMs } },
    );
    const refused = refusalIn(found);
    if (refused !== undefined) return refused;
    const boxes = [...new Set([found.servedBy, ...members])].filter((box) => box !== "");
    return { zone, log, boxes, index: found.receipt?.index ?? 0 };
  }

  async #push(address: Buffer, chunk: Buffer): Promise<void> {
    const place = await this.#place;
    if (this.#failed !== undefined || place === undefined) return;
    if (isRefusal(place)) {
      this.#failed = place;
      return;
    }
    const signal = this.#abort.signal;
    const pushed = await Promise.all(place.boxes.map((box) => this.#putAt(box, place.log, { address, chunk, signal })));
    if (pushed.some((refused) => refused === undefined)) return;
    const why = pushed.find((refused) => refused !== undefined)?.message ?? "it has no members";
    this.#failed ??= refuse("COPIES_UNAVAILABLE", `no member of zone ${place.zone} took the content: ${why}`);
  }

  async #putAt(
    box: string,
    log: number,
    what: { address: Buffer; chunk: Buffer; signal: AbortSignal },
  ): Promise<Refusal | undefined> {
    const { self, chunks, transfer } = this.#needs;
    try {
      if (box !== self)
        return await transfer.putChunk(box, { log, address: what.address }, { data: what.chunk, signal: what.signal });
      await chunks.put(what.address, what.chunk, "hashed");
      return undefined;
    } catch (error) {
      return refuse("INTERNAL", `box ${box} could not store a chunk: ${messageOf(error)}`);
    }
  }

  async finish(): Promise<Response> {
    try {
      if (this.#failed !== undefined) return refusal(this.#failed);
      const inline = this.#refs.length === 0 && this.#size <= this.#needs.limits.inlineBytesMax;
      if (!inline && this.#buffered > 0) await this.#pushBuffer(true);
      await Promise.all(this.#pushes);
      if (this.#failed !== undefined) return refusal(this.#failed);
      return await this.#commit(inline ? Buffer.from(this.#buffer.subarray(0, this.#buffered)) : undefined);
    } finally {
      this.#close();
    }
  }

  async #commit(content: Buffer | undefined): Promise<Response> {
    const write = this.#header.write;
    if (write === undefined) return refusal(refuse("INVALID", "the upload names no file"));
    const place = await this.#place;
    const etag = asBuffer(this.#etag ?? (content && this.#needs.hashing.sha256(content)) ?? this.#whole.digest());
    if (write.etag.length > 0 && !etag.equals(write.etag)) {
      return refusal(refuse("INVALID", "etag is the sha-256 of the content; what came has another"));
    }
    const uploadIndex = place === undefined || isRefusal(place) ? 0 : place.index;
    const value = {
      ...write,
      content: content ?? Buffer.alloc(0),
      chunks: content === undefined ? this.#refs : [],
      size: this.#size,
      etag,
      uploadIndex,
    };
    return this.#needs.ask(
      { $case: "mutate", value: { op: { $case: "write", value } } },
      { zone: this.#header.zone, caller: uploaderOf(this.#caller), options: this.#options },
    );
  }

  abort(): void {
    this.#giveUp("its client ended it");
  }

  #giveUp(why: string): void {
    this.#failed ??= refuse("DEADLINE", `the upload was given up: ${why}`);
    this.#abort.abort();
    this.#close();
  }

  #close(): void {
    if (!isRefusal(this.#transfer)) this.#transfer.leave();
  }
}

const uploaders = new WeakSet<Caller>();

/** The caller with its rights, marked as one whose chunks this box has stored itself. */
function uploaderOf(caller: Caller): Caller {
  const uploader: Caller = {
    principal: caller.principal,
    kind: caller.kind,
    check: (right, path) => caller.check(right, path),
  };
  uploaders.add(uploader);
  return uploader;
}

export function isUploader(caller: Caller): boolean {
  return uploaders.has(caller);
}
