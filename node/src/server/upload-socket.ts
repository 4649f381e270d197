// The door for uploads that travel without gRPC (docs/decisions/028): one upload after the other on a TLS connection of
// its own, each with a greeting, so that rights are looked at for each as they are for a call.
import type { TLSSocket } from "node:tls";
import type { Response } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import { isRefusal, messageOf, type Refusal, refuse } from "../base/errors.ts";
import type { BoxApi, Caller, Upload } from "../box/api.ts";
import { peerIdentity } from "../transport/credentials.ts";
import { FrameSocket, firstFrameBytesMax } from "../transport/frame-socket.ts";
import { readUploadFrame, type UploadsFrame, uploadAnswer, uploadFrameBytesMax } from "../transport/upload-frames.ts";
import { type Authenticator, ownOptions, refusedResponse } from "./callers.ts";

/** Bytes of frames that wait for the box; beyond, the caller is not read. */
const waitingBytesMax = 1024 * 1024;

export interface UploadSocketNeeds {
  box: Pick<BoxApi, "upload">;
  authenticator: Authenticator;
  clock: Clock;
}

/** Takes connections that were agreed to carry uploads. */
export function acceptUploads(needs: UploadSocketNeeds): (socket: TLSSocket) => void {
  return (socket) => void new UploadSocket(needs, socket);
}

class UploadSocket {
  readonly #needs: UploadSocketNeeds;
  readonly #frames: FrameSocket;
  readonly #identity: ReturnType<typeof peerIdentity>;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isWorking = false;
  #caller: Caller | undefined;
  #upload: Upload | undefined;
  /** Nothing that still comes is heard. */
  #over = false;

  constructor(needs: UploadSocketNeeds, socket: TLSSocket) {
    this.#needs = needs;
    this.#identity = peerIdentity(socket);
    this.#frames = new FrameSocket(
      socket,
      { clock: needs.clock, role: "server", bytesMax: firstFrameBytesMax, isFirstFrameTimed: true },
      { frame: (frame) => this.#receive(frame), over: () => this.#end() },
    );
  }

  #receive(frame: Buffer): void {
    if (this.#over) return;
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes > waitingBytesMax) this.#frames.pause();
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
      await this.#take(frame).catch((error) => this.#refuse(refuse("INTERNAL", messageOf(error))));
      if (this.#over) break;
      this.#waitingBytes -= frame.length;
      if (this.#waitingBytes <= waitingBytesMax) this.#frames.resume();
    }
    this.#isWorking = false;
  }

  async #take(bytes: Buffer): Promise<void> {
    const frame = readUploadFrame(bytes);
    if (this.#upload !== undefined) return this.#go(this.#upload, frame);
    if (this.#caller === undefined) return this.#greet(frame);
    if (frame?.kind !== "header") return this.#refuse(refuse("INVALID", "a header must come behind the greeting"));
    const { header } = frame;
    this.#upload = this.#needs.box.upload(
      { ...header, options: ownOptions(header.options, this.#caller) },
      this.#caller,
    );
  }

  async #greet(frame: UploadsFrame | undefined): Promise<void> {
    if (frame?.kind !== "greeting") {
      return this.#refuse(refuse("INVALID", "the first frame of an upload must be a greeting"));
    }
    const token = frame.token === "" ? undefined : frame.token;
    const caller = await this.#needs.authenticator.authenticate(token, this.#identity);
    if (isRefusal(caller)) return this.#refuse(caller);
    this.#caller = caller;
    this.#frames.takeUpTo(uploadFrameBytesMax);
  }

  async #go(upload: Upload, frame: UploadsFrame | undefined): Promise<void> {
    if (frame?.kind === "data") {
      const refusal = await upload.write(frame.data);
      if (refusal === undefined || this.#over) return;
      this.#answer(refusedResponse(0, refusal));
      // The caller may send for a while before it reads that: nothing of it is wanted.
      this.#frames.end();
      return this.#end();
    }
    if (frame?.kind !== "end") return this.#refuse(refuse("INVALID", "a frame that is neither data nor the end"));
    this.#upload = undefined;
    this.#caller = undefined;
    const response = await upload.finish();
    if (!this.#over) this.#answer(response);
  }

  #answer(response: Response): void {
    this.#frames.write(uploadAnswer(response));
  }

  #refuse(refusal: Refusal): void {
    this.#frames.refuse(refusal);
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.#upload?.abort();
  }
}
