import type {
  AdminReply,
  BackupFrame,
  BackupRequest,
  BootstrapRequest,
  DestroyZoneRequest,
  DisruptionRequest,
  DrainRequest,
  EnsureZoneRequest,
  IdentifyReply,
  IdentifyRequest,
  InstallRulesRequest,
  ProposeMembershipRequest,
  RecoverRequest,
  RegisterBoxRequest,
  RemoveBoxRequest,
  SetPolicyRequest,
  StatusReply,
  StatusRequest,
  TransferRequest,
} from "@nexus-federation/proto/admin.ts";
import type {
  DownloadFrame,
  DownloadRequest,
  UploadHeader,
  WatchFrame,
  WatchRequest,
} from "@nexus-federation/proto/files.ts";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import type { Right } from "../auth/checks.ts";
import type { Refusal } from "../base/errors.ts";

/** What the doors (server room) see of a box. Every door turns its calls into these. */
export interface BoxApi {
  readonly box: string;
  readonly federation: string;
  readonly region: string;

  /**
   * Serves one request of the waist: here, or by forwarding it. `done` is called exactly once, perhaps before `handle`
   * returns, at the latest shortly after options.timeoutMs (default 10 s). Refusals are responses with a failure; it
   * never throws. A mutating request without a request id is given one, so that the box's own retries apply once.
   */
  handle(request: Request, caller: Caller, done: (response: Response) => void): void;

  /** Content of any size in pieces; memory stays bounded when `write` is awaited before the next piece. */
  upload(header: UploadHeader, caller: Caller): Upload;
  /** First frame: `head` (a read result or a failure; then nothing follows). Then data, at most 256 KiB a frame. */
  download(request: DownloadRequest, caller: Caller, signal: AbortSignal): AsyncIterable<DownloadFrame>;
  /** Ends after a frame with a failure, or when the signal fires. An `alive` frame comes at least every 15 s. */
  watch(request: WatchRequest, caller: Caller, signal: AbortSignal): AsyncIterable<WatchFrame>;

  readonly admin: AdminApi;
  health(): BoxHealth;
}

/** Who asks. Doors make it from the authenticated token or certificate. */
export interface Caller {
  principal: string;
  /** box: a peer over the forward stream, which has checked the rights of whom it speaks for. */
  kind: "client" | "operator" | "box";
  /** Undefined when allowed. `path` is a federation path (or `/zone:{id}/p`); for admin it is "/". */
  check(right: Right, path: string): Refusal | undefined;
  /**
   * Whether the caller still is who it was when its connection was opened, which doors ask before each request of a long
   * one: undefined when so, the reason when not, a promise while somebody else is asked. Absent: for the whole connection.
   */
  renewal?(): Refusal | undefined | Promise<Refusal | undefined>;
  /** Of a request that waits for a lock: whether its connection closed, so that nobody takes the answer. */
  gone?(): boolean;
}

export interface Upload {
  /** Takes any number of bytes; resolves when there is room for more, with a refusal when the upload has failed. */
  write(data: Uint8Array): Promise<Refusal | undefined>;
  /** Commits the file. */
  finish(): Promise<Response>;
  /** Gives up; chunks already stored are collected later. Idempotent. */
  abort(): void;
}

export interface BoxHealth {
  /** The box serves its peer port (kubelet readiness). */
  ready: boolean;
  /** Client doors answer: a rule map is known and the box is not draining. */
  serving: boolean;
  state: "starting" | "empty" | "ready" | "draining" | "full";
  problems: string[];
}

/** Semantics: proto/nexus/v1/admin.proto. Refusals come in `failure`; nothing throws. */
export interface AdminApi {
  status(request: StatusRequest, caller: Caller): StatusReply;
  identify(request: IdentifyRequest, caller: Caller): IdentifyReply;
  bootstrap(request: BootstrapRequest, caller: Caller): Promise<AdminReply>;
  registerBox(request: RegisterBoxRequest, caller: Caller): Promise<AdminReply>;
  removeBox(request: RemoveBoxRequest, caller: Caller): Promise<AdminReply>;
  ensureZone(request: EnsureZoneRequest, caller: Caller): Promise<AdminReply>;
  installRules(request: InstallRulesRequest, caller: Caller): Promise<AdminReply>;
  proposeMembership(request: ProposeMembershipRequest, caller: Caller): Promise<AdminReply>;
  setPolicy(request: SetPolicyRequest, caller: Caller): Promise<AdminReply>;
  /** On this very box, from its own copy: nobody else can be asked, since the log has no leader. */
  recover(request: RecoverRequest, caller: Caller): Promise<AdminReply>;
  transfer(request: TransferRequest, caller: Caller): Promise<AdminReply>;
  drain(request: DrainRequest, caller: Caller): Promise<AdminReply>;
  destroyZone(request: DestroyZoneRequest, caller: Caller): Promise<AdminReply>;
  disruption(request: DisruptionRequest, caller: Caller): Promise<AdminReply>;
  backup(request: BackupRequest, caller: Caller): AsyncIterable<BackupFrame>;
  restore(frames: AsyncIterable<BackupFrame>, caller: Caller): Promise<AdminReply>;
}
