import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { refuse } from "../base/errors.ts";
import { sendProblem } from "./http-answers.ts";

/** What is asked at no route: 405 with the methods there are where the address has some, else 404. */
export function answerUnrouted(app: FastifyInstance): void {
  const methods = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });
  app.setNotFoundHandler((request, reply) => refuseUnrouted(methods, request, reply));
}

function refuseUnrouted(
  methods: ReadonlyMap<string, ReadonlySet<string>>,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = request.url.split("?")[0] ?? "";
  const asked = `${request.method} ${request.url.slice(0, 200)}`;
  for (const [url, known] of methods) {
    const isHere = url.endsWith("/*") ? path.startsWith(url.slice(0, -1)) : path === url;
    if (!isHere || known.has(request.method)) continue;
    const allowed = [...known].sort().join(", ");
    reply.header("allow", allowed);
    return sendProblem(reply, refuse("INVALID", `${asked}: this address takes ${allowed}`), 405);
  }
  return sendProblem(reply, refuse("NOT_FOUND", `${asked}: no such route; see /openapi.json`));
}
