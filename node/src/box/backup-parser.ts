import { FileInfo } from "@nexus-federation/proto/records.ts";
import { type ErrorCode, messageOf, type Refusal, refuse } from "../base/errors.ts";
import { refusalOfFailure } from "../base/failure.ts";
import { show } from "../tree/path.ts";
import { failureIn } from "../zones/answers.ts";
import type { BoxApi, Upload } from "./api.ts";
import { type Ask, ownCaller, refusalIn } from "./ask.ts";

/** Bytes of one record at most. */
const recordBytesMax = 1024 * 1024;

/** Reads the stream of a backup, cut anywhere, and writes what it says into a zone. Memory is bounded by one record. */
export class BackupParser {
  readonly #zone: string;
  readonly #needs: { box: Pick<BoxApi, "upload">; ask: Ask };
  #rest: Buffer = Buffer.alloc(0);
  #upload: Upload | undefined;
  /** The file that #upload writes. */
  #path = "";
  /** Content bytes of the current file that are still to come. */
  #open = 0;

  constructor(zone: string, needs: { box: Pick<BoxApi, "upload">; ask: Ask }) {
    this.#zone = zone;
    this.#needs = needs;
  }

  /** Nothing of a record or of its content is still to come. */
  get isAtEnd(): boolean {
    return this.#rest.length === 0 && this.#upload === undefined;
  }

  async add(data: Buffer): Promise<Refusal | undefined> {
    this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    for (;;) {
      const refused = this.#upload !== undefined ? await this.#content() : undefined;
      if (refused !== undefined) return refused;
      if (this.#upload !== undefined || this.#rest.length < 4) return undefined;
      const length = this.#rest.readUInt32BE(0);
      if (length > recordBytesMax)
        return refuse("CORRUPT", `the backup is damaged: a record of ${length} bytes is none of a backup's`);
      if (this.#rest.length < 4 + length) return undefined;
      const bytes = this.#rest.subarray(4, 4 + length);
      this.#rest = this.#rest.subarray(4 + length);
      const begun = await this.#begin(bytes);
      if (begun !== undefined) return begun;
    }
  }

  async #begin(bytes: Buffer): Promise<Refusal | undefined> {
    let info: FileInfo;
    try {
      info = FileInfo.decode(bytes);
    } catch (error) {
      return refuse("CORRUPT", `the backup is damaged: a record cannot be read: ${messageOf(error)}`);
    }
    const { path, contentType, metadata } = info;
    if (info.type === "directory") {
      const op = { $case: "mkdir" as const, value: { path, parents: true } };
      const made = await this.#needs.ask({ $case: "mutate", value: { op } }, { zone: this.#zone });
      const refused = refusalIn(made);
      return refused === undefined || refused.code === "ALREADY_EXISTS" ? undefined : unfit(path, refused);
    }
    if (info.type !== "file")
      return refuse(
        "CORRUPT",
        `the backup is damaged: ${show(path)} is of type ${show(info.type)}, which a backup does not hold`,
      );
    const none = Buffer.alloc(0);
    const write = {
      path,
      content: none,
      chunks: [],
      size: 0,
      etag: info.etag,
      contentType,
      metadata,
      condition: undefined,
      uploadIndex: 0,
    };
    this.#upload = this.#needs.box.upload({ options: undefined, write, zone: this.#zone }, ownCaller);
    this.#path = path;
    this.#open = info.size;
    return undefined;
  }

  async #content(): Promise<Refusal | undefined> {
    const upload = this.#upload as Upload;
    const piece = this.#rest.subarray(0, this.#open);
    this.#rest = this.#rest.subarray(piece.length);
    this.#open -= piece.length;
    const refused = await upload.write(piece);
    if (refused !== undefined) return unfit(this.#path, refused);
    if (this.#open > 0) return undefined;
    this.#upload = undefined;
    const failure = failureIn(await upload.finish());
    return failure === undefined ? undefined : unfit(this.#path, refusalOfFailure(failure));
  }
}

/** What no zone refuses of a backup that is as it was written. */
const damageCodes: readonly ErrorCode[] = ["INVALID", "WRONG_TYPE", "NOT_FOUND", "TOO_LARGE"];

/** A refusal of what the backup says about `path`: the backup is damaged, or the zone cannot take it now. */
function unfit(path: string, refused: Refusal): Refusal {
  if (damageCodes.includes(refused.code))
    return refuse("CORRUPT", `the backup is damaged at ${show(path)}: ${refused.message}`);
  return refuse("ZONE_UNAVAILABLE", `${show(path)} could not be restored: ${refused.message}`);
}
