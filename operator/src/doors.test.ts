import { Counter, Registry } from "prom-client";
import { afterEach, expect, test } from "vitest";
import { type Doors, openDoors } from "./doors.ts";

let doors: Doors | undefined;
afterEach(() => doors?.close());

async function opened(ready: boolean) {
  const registry = new Registry();
  new Counter({ name: "deeds_total", help: "Deeds.", registers: [registry] }).inc();
  doors = await openDoors({ port: 0, metricsPort: 0 }, { ready, leads: ["files"] }, registry);
  const { ports } = doors;
  return async (door: keyof typeof ports, path: string) => {
    const answer = await fetch(`http://127.0.0.1:${ports[door]}${path}`, { headers: { connection: "close" } });
    return { status: answer.status, text: await answer.text() };
  };
}

test("the kubelet's port tells no metrics, and the metrics' port no health", async () => {
  const ask = await opened(true);

  expect(await ask("port", "/metrics")).toMatchObject({ status: 404, text: "" });
  expect(await ask("metricsPort", "/metrics")).toMatchObject({ status: 200 });
  expect((await ask("metricsPort", "/metrics")).text).toContain("deeds_total 1");
  expect(await ask("metricsPort", "/readyz")).toMatchObject({ status: 404 });
});

test("an operator whose caches are not filled is alive and not ready", async () => {
  const ask = await opened(false);

  expect(await ask("port", "/healthz")).toMatchObject({ status: 200 });
  expect(await ask("port", "/readyz")).toEqual({ status: 503, text: '{"ready":false,"leads":["files"]}' });
});
