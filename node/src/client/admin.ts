// The Admin service as promises, for operators and the command line.
import * as grpc from "@grpc/grpc-js";
import {
  AdminClient,
  type AdminReply,
  type BackupFrame,
  type BackupRequest,
  type StatusReply,
} from "@nexus-federation/proto/admin.ts";
import { messageOf, NexusError } from "../base/errors.ts";
import { channelOptions } from "../transport/channel.ts";
import { failureError } from "./caller.ts";
import { bearer } from "./checks.ts";
import { credentialsOf } from "./connect.ts";
import { connectionError, plainText } from "./problems.ts";
import type { ClientSettings } from "./types.ts";

const defaultTimeoutMs = 30_000;

type UnaryName =
  | "bootstrap"
  | "registerBox"
  | "removeBox"
  | "ensureZone"
  | "installRules"
  | "proposeMembership"
  | "setPolicy"
  | "transfer"
  | "drain"
  | "destroyZone"
  | "disruption";
type RequestOf<Name extends UnaryName> = Parameters<AdminClient[Name]>[0];

/** Admin calls to one box. Refusals throw NexusError with their code; a box that cannot be reached throws ZONE_UNAVAILABLE. */
export class NexusAdmin {
  readonly endpoint: string;
  readonly #rpc: AdminClient;
  readonly #settings: ClientSettings;
  readonly #metadata = new grpc.Metadata();

  constructor(settings: ClientSettings, endpoint: string) {
    this.endpoint = endpoint;
    this.#settings = settings;
    this.#rpc = new AdminClient(settings.dial?.(endpoint) ?? endpoint, credentialsOf(settings), channelOptions);
    if (settings.token) this.#metadata.set("authorization", bearer(settings.token));
  }

  status(timeoutMs = 5000): Promise<StatusReply> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      this.#rpc.status({ zones: true }, this.#metadata, options, (error, reply) =>
        error ? reject(rpcError(error, this.#settings)) : resolve(reply),
      );
    });
  }

  /** One of the changing methods; resolves with a reply that carries no failure. */
  change<Name extends UnaryName>(
    name: Name,
    request: RequestOf<Name>,
    timeoutMs = defaultTimeoutMs,
  ): Promise<AdminReply> {
    return new Promise((resolve, reject) => {
      const done = (error: grpc.ServiceError | null, reply: AdminReply) => {
        if (error) reject(rpcError(error, this.#settings));
        else if (reply.failure) reject(failureError(reply.failure));
        else resolve(reply);
      };
      const method = this.#rpc[name] as unknown as (
        request: RequestOf<Name>,
        metadata: grpc.Metadata,
        options: grpc.CallOptions,
        done: (error: grpc.ServiceError | null, reply: AdminReply) => void,
      ) => void;
      method.call(this.#rpc, request, this.#metadata, { deadline: Date.now() + timeoutMs }, done);
    });
  }

  /** Asks the box that holds the zone when this one does not. */
  async *backup(request: BackupRequest): AsyncIterable<BackupFrame> {
    let begun = false;
    try {
      for await (const frame of this.#backup(request)) {
        begun = true;
        yield frame;
      }
    } catch (error) {
      const holder = begun ? undefined : await this.#holderNamedBy(error);
      if (holder === undefined) throw error;
      try {
        yield* holder.#backup(request);
      } finally {
        holder.close();
      }
    }
  }

  async #holderNamedBy(error: unknown): Promise<NexusAdmin | undefined> {
    if (!(error instanceof NexusError)) return undefined;
    const { code, leaderBox } = error.refusal;
    if (code !== "NO_LEADER" || !leaderBox) return undefined;
    const found = (await this.status()).boxes.find((box) => box.name === leaderBox);
    const endpoint = found?.clientEndpoint ?? "";
    return endpoint === "" || endpoint === this.endpoint ? undefined : new NexusAdmin(this.#settings, endpoint);
  }

  async *#backup(request: BackupRequest): AsyncIterable<BackupFrame> {
    const call = this.#rpc.backup(request, this.#metadata);
    try {
      for await (const frame of call as AsyncIterable<BackupFrame>) {
        if (frame.failure) throw failureError(frame.failure);
        yield frame;
      }
    } catch (error) {
      throw error instanceof NexusError ? error : rpcError(error, this.#settings);
    } finally {
      call.cancel();
    }
  }

  restore(frames: AsyncIterable<BackupFrame>): Promise<AdminReply> {
    return new Promise((resolve, reject) => {
      const call = this.#rpc.restore(this.#metadata, (error, reply) => {
        if (error) reject(rpcError(error, this.#settings));
        else if (reply.failure) reject(failureError(reply.failure));
        else resolve(reply);
      });
      call.on("error", () => {});
      const feed = async () => {
        for await (const frame of frames) {
          if (call.destroyed) return;
          if (!call.write(frame)) await new Promise<void>((go) => call.once("drain", go).once("close", go));
        }
        call.end();
      };
      feed().catch((error) => {
        call.cancel();
        reject(error);
      });
    });
  }

  close(): void {
    this.#rpc.close();
  }
}

function rpcError(cause: unknown, settings: ClientSettings): NexusError {
  const code = (cause as { code?: number }).code;
  const kind = code === 16 ? "UNAUTHENTICATED" : code === 7 ? "DENIED" : code === 4 ? "DEADLINE" : undefined;
  return kind ? new NexusError(kind, plainText(messageOf(cause)), { cause }) : connectionError(cause, settings);
}
