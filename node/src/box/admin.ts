import {
  AdminReply,
  type BackupFrame,
  type BackupRequest,
  type BootstrapRequest,
  DestroyZoneRequest,
  DisruptionRequest,
  type DrainRequest,
  EnsureZoneRequest,
  type IdentifyReply,
  type IdentifyRequest,
  InstallRulesRequest,
  ProposeMembershipRequest,
  type RecoverRequest,
  RegisterBoxRequest,
  RemoveBoxRequest,
  SetPolicyRequest,
  type StatusReply,
  type StatusRequest,
  TransferRequest,
} from "@nexus-federation/proto/admin.ts";
import { BootstrapRecord } from "@nexus-federation/proto/raft.ts";
import { LogRecord } from "@nexus-federation/proto/records.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { failureOf } from "../base/failure.ts";
import { systemZone } from "../tree/system-zone.ts";
import type { AdminCalls } from "./admin-calls.ts";
import { callAt, doneReply, refusedReply } from "./admin-replies.ts";
import { healthOf, identifyReply, type StatusNeeds, statusReply } from "./admin-status.ts";
import type { BoxHealth, Caller } from "./api.ts";
import type { Ask } from "./ask.ts";
import { type BackupNeeds, backupFrame, backupZone } from "./backup.ts";
import type { AdminSide } from "./box.ts";
import { recoverLog } from "./recover-call.ts";
import { type RestoreNeeds, restoreZone } from "./restore.ts";

/** Time for handing leadership over when a box drains, ms. */
const drainMs = 5_000;

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface AdminNeeds {
  status: StatusNeeds;
  calls: AdminCalls;
  backups: BackupNeeds & RestoreNeeds;
  ask: Ask;
  drain(timeoutMs: number): Promise<void>;
  undrain(): void;
}

type Remote = (calls: AdminCalls, body: Uint8Array) => Promise<AdminReply | Refusal | undefined>;

/** What a box executes for others: the methods that must run where a log is led, and those for this very box. */
const remote: Record<string, Remote> = {
  registerBox: (calls, body) => calls.registerBox(RegisterBoxRequest.decode(body)),
  removeBox: (calls, body) => calls.removeBox(RemoveBoxRequest.decode(body)),
  ensureZone: (calls, body) => calls.ensureZone(EnsureZoneRequest.decode(body)),
  stageZone: (calls, body) => calls.stageZone(EnsureZoneRequest.decode(body)),
  installRestored: (calls, body) => calls.installRestored(InstallRulesRequest.decode(body)),
  installRules: (calls, body) => calls.installRules(InstallRulesRequest.decode(body)),
  setPolicy: (calls, body) => calls.setPolicy(SetPolicyRequest.decode(body)),
  destroyZone: (calls, body) => calls.destroyZone(DestroyZoneRequest.decode(body)),
  disruption: (calls, body) => calls.disruption(DisruptionRequest.decode(body)),
  proposeMembership: (calls, body) => calls.proposeMembership(ProposeMembershipRequest.decode(body)),
  transfer: (calls, body) => calls.transfer(TransferRequest.decode(body)),
  startZone: (calls, body) => calls.startZone(BootstrapRecord.decode(body)),
  dropZone: (calls, body) => calls.dropZone(LogRecord.decode(body)),
};

/** The Admin service's meaning. Calls go to the box that must execute them; rights are checked here, at the edge. */
export class Admin implements AdminSide {
  readonly #needs: AdminNeeds;

  constructor(needs: AdminNeeds) {
    this.#needs = needs;
  }

  health(): BoxHealth {
    return healthOf(this.#needs.status);
  }
  status(request: StatusRequest, _caller: Caller): StatusReply {
    return statusReply(this.#needs.status, request.zones);
  }
  identify(_request: IdentifyRequest, _caller: Caller): IdentifyReply {
    return identifyReply(this.#needs.status);
  }

  async bootstrap(request: BootstrapRequest, caller: Caller): Promise<AdminReply> {
    const denied = caller.check("admin", "/");
    return denied === undefined ? this.#needs.calls.bootstrap(request) : refusedReply(denied);
  }
  registerBox(request: RegisterBoxRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "registerBox", { codec: RegisterBoxRequest, request, caller });
  }
  removeBox(request: RemoveBoxRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "removeBox", { codec: RemoveBoxRequest, request, caller });
  }
  ensureZone(request: EnsureZoneRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "ensureZone", { codec: EnsureZoneRequest, request, caller });
  }
  installRules(request: InstallRulesRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "installRules", { codec: InstallRulesRequest, request, caller });
  }
  setPolicy(request: SetPolicyRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "setPolicy", { codec: SetPolicyRequest, request, caller });
  }
  destroyZone(request: DestroyZoneRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "destroyZone", { codec: DestroyZoneRequest, request, caller });
  }
  disruption(request: DisruptionRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(systemZone, "disruption", { codec: DisruptionRequest, request, caller });
  }
  proposeMembership(request: ProposeMembershipRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(request.zone, "proposeMembership", { codec: ProposeMembershipRequest, request, caller });
  }
  async recover(request: RecoverRequest, caller: Caller): Promise<AdminReply> {
    const denied = caller.check("admin", "/");
    return denied === undefined ? recoverLog(this.#needs.status.groups, request) : refusedReply(denied);
  }
  transfer(request: TransferRequest, caller: Caller): Promise<AdminReply> {
    return this.#at(request.zone, "transfer", { codec: TransferRequest, request, caller });
  }

  /** On: hands all leadership over and refuses proposals. Off: takes both again. */
  async drain(request: DrainRequest, caller: Caller): Promise<AdminReply> {
    const denied = caller.check("admin", "/");
    if (denied !== undefined) return refusedReply(denied);
    if (request.on) await this.#needs.drain(drainMs);
    else this.#needs.undrain();
    return doneReply();
  }

  async *backup(request: BackupRequest, caller: Caller): AsyncGenerator<BackupFrame, void, void> {
    const denied = caller.check("admin", "/");
    if (denied === undefined) return yield* backupZone(this.#needs.backups, request.zone);
    yield backupFrame({ last: true, failure: failureOf(denied) });
  }
  async restore(frames: AsyncIterable<BackupFrame>, caller: Caller): Promise<AdminReply> {
    const denied = caller.check("admin", "/");
    return denied === undefined ? restoreZone(this.#needs.backups, frames) : refusedReply(denied);
  }

  async execute(method: string, body: Uint8Array): Promise<Uint8Array | Refusal> {
    const run = remote[method];
    if (run === undefined) return refuse("VERSION", `this box does not know the admin call ${method}`);
    const reply = await run(this.#needs.calls, body);
    if (reply === undefined) return AdminReply.encode(doneReply()).finish();
    return isRefusal(reply) ? reply : AdminReply.encode(reply).finish();
  }

  /** Executes a call at the box that leads the zone's log. */
  async #at<T>(
    zone: string,
    method: string,
    call: { codec: Codec<T>; request: T; caller: Caller },
  ): Promise<AdminReply> {
    const denied = call.caller.check("admin", "/");
    if (denied !== undefined) return refusedReply(denied);
    return callAt(this.#needs.ask, { zone, method }, call.codec.encode(call.request).finish());
  }
}
