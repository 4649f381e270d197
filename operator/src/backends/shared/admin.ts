// Admin calls to boxes over the peer port with the operator's certificate. The box's own certificate must carry its name.
import { type CallOptions, Metadata, type ServiceError } from "@grpc/grpc-js";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { failureError } from "@nexus-federation/node/client/caller.ts";
import { plainText } from "@nexus-federation/node/client/problems.ts";
import { channelOptions, credentialsToBox, socketToBox } from "@nexus-federation/node/transport/channel.ts";
import type { Credentials } from "@nexus-federation/node/transport/credentials.ts";
import { AdminClient, type AdminReply, type StatusReply } from "@nexus-federation/proto/admin.ts";

/** Calls whose answer is an AdminReply. */
export type ChangeName =
  | "bootstrap"
  | "registerBox"
  | "removeBox"
  | "ensureZone"
  | "installRules"
  | "proposeMembership"
  | "recover"
  | "transfer"
  | "drain"
  | "disruption"
  | "destroyZone";
type RequestOf<Name extends ChangeName> = Parameters<AdminClient[Name]>[0];

export interface AdminSettings {
  federation: string;
  statusTimeoutMs: number;
}

/** How long a call may take. Those that create a log wait for its members and leader. */
const timeoutsMs: Record<ChangeName, number> = {
  bootstrap: 30_000,
  registerBox: 5000,
  removeBox: 5000,
  ensureZone: 20_000,
  installRules: 20_000,
  proposeMembership: 5000,
  recover: 30_000,
  transfer: 5000,
  drain: 10_000,
  disruption: 5000,
  destroyZone: 20_000,
};

/** A restarted box is looked for again within a second. */
const options = { ...channelOptions, "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500 };

/** Channels to boxes, one each, made on first use. */
export class Admin {
  #own: Credentials;
  readonly #settings: AdminSettings;
  readonly #wallMs: () => number;
  readonly #channels = new Map<string, { endpoint: string; client: AdminClient }>();

  constructor(own: Credentials, wallMs: () => number, settings: AdminSettings) {
    this.#own = own;
    this.#wallMs = wallMs;
    this.#settings = settings;
  }

  /** Connects with renewed credentials from now on; calls under way end on the former ones. */
  reload(own: Credentials): void {
    const { ca, certificate, crl } = this.#own;
    if (own.certificate === certificate && own.ca === ca && own.crl === crl) return;
    this.#own = own;
    this.close();
  }

  /** The reason, as a text, when the box does not answer in time. */
  status(box: string, endpoint: string): Promise<StatusReply | string> {
    return new Promise((resolve) => {
      const deadline = { deadline: this.#wallMs() + this.#settings.statusTimeoutMs };
      this.#client(box, endpoint).status({ zones: true }, new Metadata(), deadline, (error, reply) =>
        resolve(error ? plainText(messageOf(error)) : reply),
      );
    });
  }

  /** Empty when a box or witness answers at all, which takes a process that turns; else why not, as a text. */
  greet(box: string, endpoint: string): Promise<string> {
    const target = { own: this.#own, federation: this.#settings.federation, box, endpoint };
    return new Promise((resolve) => {
      const socket = socketToBox(target, ["h2"]);
      const end = (why: string) => {
        socket.destroy();
        resolve(why);
      };
      socket.setTimeout(this.#settings.statusTimeoutMs, () =>
        end(`no handshake within ${this.#settings.statusTimeoutMs} ms`),
      );
      socket.once("secureConnect", () => end(""));
      let isThere = false;
      socket.once("connect", () => {
        isThere = true;
      });
      // Who refuses a handshake turns.
      socket.on("error", (error) => end(isThere ? "" : plainText(messageOf(error))));
    });
  }

  /** Throws NexusError with the refusal's code; ZONE_UNAVAILABLE when the box cannot be reached. */
  change<Name extends ChangeName>(
    target: { box: string; endpoint: string },
    name: Name,
    request: RequestOf<Name>,
  ): Promise<AdminReply> {
    return new Promise((resolve, reject) => {
      const client = this.#client(target.box, target.endpoint);
      const call = client[name] as unknown as (
        request: RequestOf<Name>,
        metadata: Metadata,
        options: Partial<CallOptions>,
        done: (error: ServiceError | null, reply: AdminReply) => void,
      ) => void;
      call.call(client, request, new Metadata(), { deadline: this.#wallMs() + timeoutsMs[name] }, (error, reply) => {
        if (error)
          reject(new NexusError("ZONE_UNAVAILABLE", `${target.box}: ${plainText(messageOf(error))}`, { cause: error }));
        else if (reply.failure) reject(failureError(reply.failure));
        else resolve(reply);
      });
    });
  }

  #client(box: string, endpoint: string): AdminClient {
    const kept = this.#channels.get(box);
    if (kept?.endpoint === endpoint) return kept.client;
    kept?.client.close();
    const client = new AdminClient(endpoint, credentialsToBox(this.#own, this.#settings.federation, box), options);
    this.#channels.set(box, { endpoint, client });
    return client;
  }

  close(): void {
    for (const { client } of this.#channels.values()) client.close();
    this.#channels.clear();
  }
}
