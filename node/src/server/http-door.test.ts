import net from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "./http-openapi.ts";
import { DoorRig } from "./testing/rig.ts";

let rig: DoorRig;
let document: Document;
beforeAll(async () => {
  rig = await DoorRig.start();
  document = (await rig.ask("GET", "/openapi.json", { token: null })).json;
});
afterAll(() => rig.stop());

/** Every $ref below, wherever it stands. */
function referencesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = "$ref" in value && typeof value.$ref === "string" ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(referencesIn)];
}

function at(pointer: string): unknown {
  let node: unknown = document;
  for (const key of pointer.slice(2).split("/")) node = (node as Record<string, unknown> | undefined)?.[key];
  return node;
}

describe("openapi.json", () => {
  test("is version 3.1 and names every route of the door once", () => {
    const routes = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );

    expect(document["openapi"]).toBe("3.1.0");
    expect(routes.sort()).toEqual(
      [
        ...["GET", "PUT", "DELETE"].map((method) => `${method} /api/v1/files/{path}`),
        ...["GET", "POST", "PUT", "DELETE"].map((method) => `${method} /api/v1/locks/{path}`),
        ...["GET", "PATCH"].map((method) => `${method} /api/v1/stat/{path}`),
        ...["list", "watch"].map((name) => `GET /api/v1/${name}/{path}`),
        ...["move", "copy", "mkdir", "batch"].map((name) => `POST /api/v1/${name}`),
        ...["/healthz", "/readyz", "/metrics"].map((path) => `GET ${path}`),
      ].sort(),
    );
  });

  test("declares each parameter of a path, none twice, and every operation by a name of its own", () => {
    const ids: string[] = [];
    for (const [path, methods] of Object.entries(document.paths ?? {})) {
      const named = [...path.matchAll(/\{([a-zA-Z]+)\}/g)].map((match) => match[1]);
      expect(path).not.toContain("*");
      for (const operation of Object.values(methods)) {
        const parameters = operation.parameters ?? [];
        const keys = parameters.map((one) => `${one.in} ${one.name.toLowerCase()}`);
        ids.push(operation.operationId ?? "");
        expect(parameters.filter((one) => one.in === "path").map((one) => one.name)).toEqual(named);
        expect(new Set(keys).size).toBe(keys.length);
        expect(Object.keys(operation.responses ?? {})).not.toHaveLength(0);
        for (const response of Object.values(operation.responses ?? {}))
          expect((response as { description: string }).description).toEqual(expect.any(String));
      }
    }
    expect(ids).not.toContain("");
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("has no reference that leads nowhere", () => {
    const references = referencesIn(document);
    expect(references).not.toHaveLength(0);
    for (const reference of references) expect(at(reference), reference).toBeDefined();
  });

  test("has the JSON bodies with their limits", () => {
    const text = JSON.stringify(document.paths?.["/api/v1/batch"]);
    expect(text).toContain('"maxItems":4096');
  });
});

describe("pages for operators", () => {
  test("health needs no token, metrics do", async () => {
    expect(await rig.ask("GET", "/healthz", { token: null })).toMatchObject({ status: 200, json: { ok: true } });
    expect(await rig.ask("GET", "/readyz", { token: null })).toMatchObject({ status: 200, json: { serving: true } });
    expect(await rig.ask("GET", "/metrics", { token: null })).toMatchObject({ status: 401 });
    const metrics = await rig.ask("GET", "/metrics");
    expect(metrics.headers["content-type"]).toContain("text/plain");
    expect(metrics.text).toContain("# HELP");
  });

  test("JSON ends its last line, with its length told", async () => {
    for (const target of ["/healthz", "/api/v1/stat/none", "/openapi.json"]) {
      const { text, headers, body } = await rig.ask("GET", target);
      expect(text, target).toMatch(/[^\n]\n$/);
      if (headers["content-length"] !== undefined) expect(headers["content-length"]).toBe(String(body.length));
    }
  });

  test("a box that drains says on readyz that it does not serve", async () => {
    const node = rig.federation.node("a");
    await rig.drive(node.drain(100));
    expect(await rig.ask("GET", "/readyz", { token: null })).toMatchObject({ status: 503, json: { serving: false } });
    node.undrain();
    expect(await rig.ask("GET", "/readyz", { token: null })).toMatchObject({ status: 200 });
  });
});

describe("refusals over HTTP", () => {
  test("tell code, status, what is wrong and what to do", async () => {
    const answer = await rig.ask("GET", "/api/v1/stat/nothing");

    expect(answer.json).toEqual({
      type: "urn:nexus:error:NOT_FOUND",
      title: expect.any(String),
      status: 404,
      code: "NOT_FOUND",
      detail: expect.stringContaining("/nothing"),
      advice: expect.any(String),
    });
  });

  test("a target or headers above the limit of the parser are a problem too", async () => {
    for (const [path, headers] of [
      [`/api/v1/files/${"x".repeat(60_000)}`, {}],
      ["/api/v1/files/x", { "nexus-note": "x".repeat(100_000) }],
    ] as const) {
      const answer = await rig.ask("GET", path, { headers });
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      expect(answer).toMatchObject({ status: 431, json: { code: "TOO_LARGE", status: 431 } });
    }
  });

  test("wrong option headers name their header", async () => {
    for (const [name, value] of [
      ["nexus-timeout", "soon"],
      ["nexus-timeout", "0"],
      ["nexus-timeout", "3m"],
      ["nexus-max-staleness", "-1"],
      ["nexus-min-copies", "many"],
      ["nexus-after", "§"],
      ["nexus-request-id", "12"],
      ["nexus-request-time", "now"],
      ["nexus-fence", "x"],
      ["nexus-lock-path", "/l"],
    ] as const) {
      const headers = { [name]: Buffer.from(value).toString("latin1") };
      const answer = await rig.ask("PUT", "/api/v1/files/h", { headers, body: "x" });
      expect(answer.json, name).toMatchObject({ code: "INVALID", detail: expect.stringContaining(name) });
    }
  });

  test("guarantees that cannot be had are refused", async () => {
    const put = (headers: Record<string, string>) => rig.ask("PUT", "/api/v1/files/g", { headers, body: "x" });

    expect(await put({ "nexus-min-copies": "3" })).toMatchObject({ json: { code: "COPIES_UNAVAILABLE", status: 503 } });
    expect(await put({ "nexus-write-concern": "some" })).toMatchObject({ json: { code: "INVALID" } });
    const read = await rig.ask("GET", "/api/v1/files/g", { headers: { "nexus-after": "AAAA" } });
    expect(read.json).toMatchObject({ code: "INVALID" });
  });
});

describe("a connection", () => {
  /** How many of the requests, all sent at once, are answered before the connection is closed. */
  const answersTo = (requests: number) =>
    new Promise<{ answers: number; closed: boolean }>((resolve) => {
      const socket = net.connect(rig.port("a"), "127.0.0.1");
      let text = "";
      const end = (closed: boolean) => {
        socket.destroy();
        resolve({ answers: text.split("HTTP/1.1 200").length - 1, closed });
      };
      socket.on("error", () => {});
      socket.on("close", () => end(true));
      socket.on("data", (part) => {
        text += part;
        if (text.split("HTTP/1.1 200").length > requests) end(false);
      });
      socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(requests));
    });

  test("is closed when more requests are sent at once than may be under way", async () => {
    expect(await answersTo(1000)).toMatchObject({ closed: true });
  });

  test("may pipeline some requests", async () => {
    expect(await answersTo(50)).toEqual({ answers: 50, closed: false });
  });
});
