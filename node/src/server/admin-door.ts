import type { ServerReadableStream, ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import type { AdminReply, AdminServer, BackupFrame, BackupRequest } from "@nexus-federation/proto/admin.ts";
import { failureOf } from "../base/failure.ts";
import type { AdminApi, BoxApi, Caller } from "../box/api.ts";
import { grpcError } from "./callers.ts";
import { answer, type FilesDoorNeeds, serverStream, withCaller } from "./files-door.ts";

/** Told of every admin call: who did what. */
export type Audit = (principal: string, action: string, request: unknown) => void;

type Needs = Pick<FilesDoorNeeds, "authenticator" | "identityOf"> & { box: BoxApi; audit: Audit };

/** The Admin service. Callers need the admin right on "/"; everyone else is refused with DENIED. */
export function adminDoor(needs: Needs): AdminServer {
  const admin = needs.box.admin;
  return {
    status: unary(needs, "status", (request, caller) => admin.status(request, caller)),
    identify: unary(needs, "identify", (request, caller) => admin.identify(request, caller)),
    bootstrap: change(needs, "bootstrap"),
    registerBox: change(needs, "registerBox"),
    removeBox: change(needs, "removeBox"),
    ensureZone: change(needs, "ensureZone"),
    installRules: change(needs, "installRules"),
    proposeMembership: change(needs, "proposeMembership"),
    setPolicy: change(needs, "setPolicy"),
    recover: change(needs, "recover"),
    transfer: change(needs, "transfer"),
    drain: change(needs, "drain"),
    destroyZone: change(needs, "destroyZone"),
    disruption: change(needs, "disruption"),
    backup: serverStream(needs, (caller, call: ServerWritableStream<BackupRequest, BackupFrame>) => {
      const denied = caller.check("admin", "/");
      if (denied)
        return one({
          header: undefined,
          data: Buffer.alloc(0),
          last: true,
          digest: Buffer.alloc(0),
          failure: failureOf(denied),
        });
      needs.audit(caller.principal, "backup", call.request);
      return admin.backup(call.request, caller);
    }),
    restore(call: ServerReadableStream<BackupFrame, AdminReply>, done: sendUnaryData<AdminReply>) {
      withCaller(needs, call, done, (caller) => {
        const denied = caller.check("admin", "/");
        if (denied) return done(null, replyOf(denied));
        needs.audit(caller.principal, "restore", {});
        answer(admin.restore(call as AsyncIterable<BackupFrame>, caller), done);
      });
    },
  };
}

/** The admin methods that take a request and give an AdminReply. */
type Change =
  | "bootstrap"
  | "registerBox"
  | "removeBox"
  | "ensureZone"
  | "installRules"
  | "proposeMembership"
  | "setPolicy"
  | "recover"
  | "transfer"
  | "drain"
  | "destroyZone"
  | "disruption";

function change<Method extends Change>(needs: Needs, method: Method): AdminServer[Method] {
  type In = Parameters<AdminApi[Method]>[0];
  const handler = (call: ServerUnaryCall<In, AdminReply>, done: sendUnaryData<AdminReply>) => {
    withCaller(needs, call, done, (caller) => {
      const denied = caller.check("admin", "/");
      if (denied) return done(null, replyOf(denied));
      needs.audit(caller.principal, method, call.request);
      const act = needs.box.admin[method] as (request: In, caller: Caller) => Promise<AdminReply>;
      answer(act.call(needs.box.admin, call.request, caller), done);
    });
  };
  return handler as AdminServer[Method];
}

function unary<In, Out>(needs: Needs, action: string, act: (request: In, caller: Caller) => Out) {
  return (call: ServerUnaryCall<In, Out>, done: sendUnaryData<Out>) => {
    withCaller(needs, call, done, (caller) => {
      const denied = caller.check("admin", "/");
      if (denied) return done(grpcError(denied));
      if (action !== "status") needs.audit(caller.principal, action, call.request);
      done(null, act(call.request, caller));
    });
  };
}

function replyOf(refusal: Parameters<typeof failureOf>[0]): AdminReply {
  return { failure: failureOf(refusal), log: 0, epoch: 0, configIndex: 0, detail: "" };
}

async function* one<T>(value: T): AsyncIterable<T> {
  yield value;
}
