// The HTTP/JSON door (docs/reference/http.md, /openapi.json). Fastify routes and validates; paths come from the raw
// request target because a decoded one cannot tell an encoded slash from a real one.
import http, { type Server } from "node:http";
import type { TLSSocket } from "node:tls";
import fastifySwagger from "@fastify/swagger";
import type { Response } from "@nexus-federation/proto/request.ts";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { Identity } from "../auth/identities.ts";
import { isRefusal, messageOf, refuse } from "../base/errors.ts";
import type { BoxApi } from "../box/api.ts";
import { waitsForLock } from "../box/operations.ts";
import { type Authenticator, bearerOf } from "./callers.ts";
import { refusalOf, sendProblem, setReceipt } from "./http-answers.ts";
import { answerClientError } from "./http-client-errors.ts";
import type { Door } from "./http-context.ts";
import { fileRoutes } from "./http-files.ts";
import { lockRoutes } from "./http-locks.ts";
import { answerUnrouted } from "./http-methods.ts";
import { completed, type Document, templated } from "./http-openapi.ts";
import { optionsOf, queryProblem } from "./http-requests.ts";
import { treeRoutes } from "./http-tree.ts";
import { watchRoutes } from "./http-watch.ts";
import type { LockWaiters } from "./lock-waiters.ts";

export interface HttpDoorNeeds {
  box: BoxApi;
  authenticator: Authenticator;
  identityOf: (socket: TLSSocket) => Identity | undefined;
  /** The page of /metrics. */
  metrics: () => Promise<string>;
  lockWaiters: LockWaiters;
  version: string;
}

/** How often header and request time-outs are looked at. */
const checkConnectionsMs = 2000;
/** Bytes of a JSON body (batches; file content is streamed and not bound by this). */
const jsonBodyBytesMax = 6 * 1024 * 1024;

/** Requests of one connection under way at once; node sets no limit, and who sends more reads no answers: it is closed. */
const pipelinedMax = 256;

function boundPipeline(handler: http.RequestListener): http.RequestListener {
  const underWay = new WeakMap<object, number>();
  return (request, response) => {
    const { socket } = request;
    const count = (underWay.get(socket) ?? 0) + 1;
    if (socket.destroyed) return;
    if (count > pipelinedMax) {
      socket.destroy();
      return;
    }
    underWay.set(socket, count);
    response.once("close", () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1));
    handler(request, response);
  };
}

/** An HTTP server that listens nowhere itself: the listener hands it connections. */
export async function httpDoor(
  needs: HttpDoorNeeds,
): Promise<{ server: Server; close(): Promise<void>; openApi(): Document }> {
  let server: Server | undefined;
  const app = fastify({
    serverFactory: (handler) => {
      server = http.createServer({ connectionsCheckingInterval: checkConnectionsMs }, boundPipeline(handler));
      return server;
    },
    bodyLimit: jsonBodyBytesMax,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 16_384, ignoreTrailingSlash: false },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply as FastifyReply, refuse("INVALID", `request target: ${error.message}`));
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, _request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (status === 413)
      return sendProblem(reply, refuse("TOO_LARGE", `body: at most ${jsonBodyBytesMax} bytes of JSON`));
    if ((error as { code?: string }).code === "FST_ERR_CTP_INVALID_JSON_BODY")
      return sendProblem(
        reply,
        refuse("INVALID", "body: it is no JSON, or has a key __proto__ or constructor.prototype"),
      );
    if (status < 500) return sendProblem(reply, refuse("INVALID", `request: ${messageOf(error)}`));
    return sendProblem(reply, refuse("INTERNAL", messageOf(error)));
  });
  // A shell's prompt stands on a line of its own after an answer.
  app.addHook("onSend", async (_request, reply, payload) =>
    typeof payload === "string" && isJson(reply.getHeader("content-type")) ? `${payload}\n` : payload,
  );
  answerUnrouted(app);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Nexus", version: needs.version, description: "One file tree; consistency chosen per path." },
    },
    transform: (route) => jsonSchemaTransform({ ...route, url: templated(route.url) }),
  });
  openRoutes(app, needs);
  await app.register(async (scope) => guardedRoutes(scope, needs));
  await app.ready();
  return { server: server!, close: () => app.close(), openApi: () => completed(app.swagger() as Document) };
}

/** Answered without credentials: liveness and readiness say nothing about data. */
function openRoutes(app: FastifyInstance, needs: HttpDoorNeeds): void {
  let document: Document | undefined;
  app.get("/healthz", { schema: { summary: "The event loop turns." } }, async () => ({
    ok: true,
    state: needs.box.health().state,
  }));
  app.get("/readyz", { schema: { summary: "The box serves requests." } }, async (_request, reply) => {
    const health = needs.box.health();
    return reply.status(health.serving ? 200 : 503).send(health);
  });
  app.get("/openapi.json", { schema: { hide: true } }, async () => {
    document ??= completed(app.swagger() as Document);
    return document;
  });
}

function guardedRoutes(scope: FastifyInstance, needs: HttpDoorNeeds): void {
  const { box, authenticator } = needs;
  scope.addHook("onRequest", async (request, reply) => {
    const caller = await authenticator.authenticate(
      bearerOf(request.headers.authorization),
      needs.identityOf(request.raw.socket as TLSSocket),
    );
    if (isRefusal(caller)) return sendProblem(reply, caller);
    request.caller = caller;
    const problem = queryProblem(request.raw.url ?? "");
    if (problem) return sendProblem(reply, problem);
  });
  const door: Door = {
    box,
    async ask(request, reply, { op, zone }) {
      const options = optionsOf(request.headers, request.caller);
      if (isRefusal(options)) return void sendProblem(reply, options);
      const asked = { id: 0, options, zone: zone ?? "", op };
      const response = await new Promise<Response>((resolve) => {
        if (!waitsForLock(asked)) return box.handle(asked, request.caller, resolve);
        const gone = needs.lockWaiters.handle(box, { request: asked, caller: request.caller }, resolve);
        if (reply.raw.destroyed) gone();
        else reply.raw.once("close", gone);
      });
      setReceipt(reply, response);
      const refusal = refusalOf(response);
      return refusal ? void sendProblem(reply, refusal) : response;
    },
  };
  scope.get(
    "/metrics",
    { schema: { summary: "Prometheus metrics (docs/reference/metrics.md)." } },
    async (request, reply) => {
      const denied = request.caller.check("read", "/");
      if (denied) return sendProblem(reply, denied);
      return reply.type("text/plain; version=0.0.4; charset=utf-8").send(await needs.metrics());
    },
  );
  fileRoutes(scope, door);
  treeRoutes(scope, door);
  lockRoutes(scope, door);
  watchRoutes(scope, door);
}

function isJson(contentType: unknown): boolean {
  return typeof contentType === "string" && /^application\/(\w+\+)?json\b/.test(contentType);
}
