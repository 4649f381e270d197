// What the HTTP routes need of the door that serves them.

import type { Request, Response } from "@nexus-federation/proto/request.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { BoxApi, Caller } from "../box/api.ts";

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller;
  }
}

/** One waist request with the options of the HTTP request, refusals already answered. */
export interface Door {
  readonly box: BoxApi;
  /** Undefined when a refusal was sent. */
  ask(
    request: FastifyRequest,
    reply: FastifyReply,
    what: { op: Request["op"]; zone: string | undefined },
  ): Promise<Response | undefined>;
}
