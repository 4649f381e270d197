import { must } from "../base/assert.ts";
import { asBuffer } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { type Disk, type DiskFile, withFile } from "./disk.ts";
import { readSegmentHeader, segmentHeaderBytes, segmentName } from "./format.ts";

/** The segment files of a log: the one being written, those before it, and one prepared ahead. */
export class Segments {
  /** Numbers of the segments that hold frames, oldest first, the current one last. */
  readonly used: number[];
  #current: DiskFile | undefined;
  /** Resolves to the prepared file, or to why there is none. */
  #prepared: Promise<DiskFile | Error> | undefined;
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  /** Files of segments that nobody needs, oldest first. */
  readonly #leaving: string[] = [];
  #removing: Promise<void> = Promise.resolve();

  constructor(disk: Disk, segmentBytes: number, found: { used: number[]; current: DiskFile | undefined }) {
    this.#disk = disk;
    this.#segmentBytes = segmentBytes;
    this.used = found.used;
    this.#current = found.current;
  }

  get currentNumber(): number {
    return this.used.at(-1) ?? 0;
  }
  get current(): DiskFile {
    return must(this.#current, "current segment");
  }
  /** Room in the current segment, header included. */
  get sizeBytes(): number {
    return this.#current?.sizeBytes ?? 0;
  }

  /** Starts making the next segment in the background, unless that is done. */
  prepare(): void {
    this.#prepared ??= this.#create(this.currentNumber + 1);
  }

  #create(number: number): Promise<DiskFile | Error> {
    return this.#disk
      .open(segmentName(number), { createBytes: this.#segmentBytes })
      .catch((error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))));
  }

  /** Goes on to the next segment. One more attempt when it could not be prepared; then throws, DISK_FULL for example. */
  async advance(): Promise<void> {
    this.prepare();
    let file = await must(this.#prepared, "prepared segment");
    if (file instanceof Error) file = await this.#create(this.currentNumber + 1);
    this.#prepared = undefined;
    if (file instanceof Error) throw file;
    await this.#current?.close();
    this.#current = file;
    this.used.push(this.currentNumber + 1);
    this.prepare();
  }

  /** Removes segments before `oldest` in the background, oldest first. */
  removeBefore(oldest: number): void {
    while (this.used.length > 1 && must(this.used[0], "oldest segment") < oldest) {
      this.#leaving.push(segmentName(must(this.used.shift(), "oldest segment")));
    }
    if (this.#leaving.length > 0) this.#removing = this.#removing.then(() => this.#remove());
  }

  /** One that cannot be removed keeps those behind it, until the next time: a gap between segments would look like a loss. */
  async #remove(): Promise<void> {
    for (let name = this.#leaving[0]; name !== undefined; name = this.#leaving[0]) {
      try {
        await this.#disk.remove(name);
      } catch {
        return;
      }
      this.#leaving.shift();
    }
  }

  /** The oldest segment, and where its last frame ends by the header of the one after it. */
  async openOldest(): Promise<{ file: DiskFile; endOffset: number }> {
    const oldest = must(this.used[0], "oldest segment");
    const header = await withFile(this.#disk, segmentName(oldest + 1), (file) => file.read(0, segmentHeaderBytes));
    const file = await this.#disk.open(segmentName(oldest));
    return { file, endOffset: readSegmentHeader(asBuffer(header))?.previousEnd ?? file.sizeBytes };
  }

  async close(): Promise<void> {
    await this.#removing;
    const prepared = await this.#prepared;
    if (prepared !== undefined && !(prepared instanceof Error)) await prepared.close();
    await this.#current?.close();
  }
}
