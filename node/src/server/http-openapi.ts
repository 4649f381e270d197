// Completes the OpenAPI document that the routes give: what every route shares (path, headers, refusals, credentials) is
// said here once instead of in each route's schema, where it would be validated a second time.
import { errorCodes, errorKinds } from "../base/errors.ts";

interface Operation {
  summary?: string;
  operationId?: string;
  tags?: string[];
  parameters?: Parameter[];
  responses?: Record<string, unknown>;
  security?: unknown[];
}
interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: unknown;
}
export interface Document {
  paths?: Record<string, Record<string, Operation>>;
  components?: Record<string, unknown>;
  [key: string]: unknown;
}

type Header = readonly [name: string, description: string];

const everyRequest: readonly Header[] = [
  ["Nexus-Timeout", "Time of the request, retries inside the federation included: 1500ms, 2s, 1m. At most 2 minutes."],
  ["Nexus-After", "Token of an earlier receipt: the answer shows that write."],
];
const readHeaders: readonly Header[] = [
  ["Nexus-Max-Staleness", "Accept an answer that is provably at most this old: 500ms, 5s."],
  ["Nexus-Read-Preference", "local, nearest, leader or authority."],
];
const writeHeaders: readonly Header[] = [
  ["Nexus-Request-Id", "16 bytes in hex; a retry with the same id is applied once."],
  ["Nexus-Request-Time", "log-time-ms of a receipt, when the request was first sent."],
  [
    "Nexus-Request-Pin",
    "Token of a receipt of the zone, or `pin` of an UNKNOWN_OUTCOME: a retry is executed in that log or not at all.",
  ],
  ["Nexus-Min-Copies", "Refuse unless so many full copies are durable at the answer."],
  ["Nexus-Write-Concern", "authority, majority or all."],
  ["Nexus-Fence", "Printed fence of a lock that the change needs."],
  ["Nexus-Lock-Path", "Path of that lock when it is not the path written."],
  ["If-Match", "The quoted etag that must stand there, or *."],
  ["If-None-Match", "*: the path must be free."],
];
const contentHeaders: readonly Header[] = [
  ["Range", "bytes=first-last; one range."],
  ["If-None-Match", "Etags; 304 when the file still has one of them."],
  ["If-Match", "Etags; 412 when the file has none of them."],
  ["If-Range", "Etag; Range counts only while the file has it."],
];

/** The path of a tree route as OpenAPI names it; slashes inside stay as they are. */
const treePath = "path";

/** `/api/v1/files/*` as the swagger plugin takes it. */
export function templated(url: string): string {
  return url.replace(/\*$/, `:${treePath}`);
}

/** The same document with identifiers, headers, path, refusals and credentials on every operation. */
export function completed(document: Document): Document {
  const paths: NonNullable<Document["paths"]> = {};
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    paths[path] = {};
    for (const [method, operation] of Object.entries(methods)) {
      paths[path][method] = completedOperation(path, method, operation);
    }
  }
  const schemas = { Problem: problemSchema() };
  const securitySchemes = {
    bearer: { type: "http", scheme: "bearer", description: "The token of the context that nexus up wrote." },
    certificate: { type: "mutualTLS", description: "A client certificate of the federation's authority." },
  };
  return { ...document, paths, components: { ...document.components, schemas, securitySchemes } };
}

function completedOperation(path: string, method: string, operation: Operation): Operation {
  const operationId = `${method}${path.replace(/^\/api\/v1/, "").replace(/\/\{.*$|\.json$/, "")}`.replace(
    /[/_-]+([a-z])/g,
    (_all, letter: string) => letter.toUpperCase(),
  );
  if (!path.startsWith("/api/")) {
    return { ...operation, operationId, security: path === "/metrics" ? credentials : [], responses: ok(operation) };
  }
  const isWatch = path.startsWith("/api/v1/watch");
  const given = (operation.parameters ?? []).filter((one) => one.in !== "path");
  const parameters = [
    ...(path.includes("{") ? [pathParameter] : []),
    ...given,
    ...queryOf(path, method),
    ...headersOf(path, method).map(asParameter),
    ...(isWatch ? [asParameter(["Last-Event-ID", "Token of the last event seen."])] : []),
  ];
  const problem = { description: "A refusal.", content: { "application/problem+json": { schema: problemRef } } };
  return {
    ...operation,
    operationId,
    parameters,
    security: credentials,
    responses: { ...ok(operation), default: problem },
  };
}

const credentials = [{ bearer: [] }, { certificate: [] }];
const problemRef = { $ref: "#/components/schemas/Problem" };
const pathParameter: Parameter = {
  name: treePath,
  in: "path",
  required: true,
  description: "Path below the root; its slashes are sent as they are, every segment percent-encoded by itself.",
  schema: { type: "string" },
};

function ok(operation: Operation): Record<string, unknown> {
  return { "200": operation.responses?.["200"] ?? { description: "Done." } };
}

function queryOf(path: string, method: string): Parameter[] {
  const query = (name: string, description: string): Parameter => ({
    name,
    in: "query",
    required: false,
    description,
    schema: { type: "string" },
  });
  if (path.startsWith("/api/v1/files") && method === "delete") return [query("recursive", "true: with all below.")];
  if (path.startsWith("/api/v1/locks") && method === "delete") return [query("lockId", "Hex id of the grant.")];
  if (path.startsWith("/api/v1/watch")) return [query("after", "Token to resume behind.")];
  return [];
}

function headersOf(path: string, method: string): readonly Header[] {
  const reads = method === "get";
  if (reads && path.startsWith("/api/v1/files")) return [...everyRequest, ...readHeaders, ...contentHeaders];
  if (reads) return [...everyRequest, ...readHeaders];
  const released: readonly Header[] = [["Nexus-Lock-Id", "Hex id of the grant."]];
  if (path.startsWith("/api/v1/locks")) {
    return [...everyRequest, ...writeHeaders.slice(0, 2), ...(method === "delete" ? released : [])];
  }
  return [...everyRequest, ...writeHeaders];
}

function asParameter([name, description]: Header): Parameter {
  return { name, in: "header", required: false, description, schema: { type: "string" } };
}

function problemSchema() {
  return {
    type: "object",
    description: "RFC 9457. docs/reference/errors.md explains every code.",
    required: ["type", "title", "status", "code", "detail", "advice"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: { type: "integer", enum: [...new Set(errorCodes.map((code) => errorKinds[code].http)), 416].sort() },
      code: { type: "string", enum: [...errorCodes] },
      detail: { type: "string", description: "What was expected, what came." },
      advice: { type: "string", description: "What to do." },
      applied: { type: "boolean", description: "The change was made although a demanded guarantee was not reached." },
      retryAfterMs: { type: "integer" },
      epoch: { type: "integer" },
      leaderBox: { type: "string" },
      details: { type: "object", additionalProperties: { type: "string" } },
    },
  };
}
