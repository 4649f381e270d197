import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaultLimits } from "../machine/limits.ts";
import { DoorRig } from "./testing/rig.ts";

let rig: DoorRig;
beforeAll(async () => {
  rig = await DoorRig.start();
});
afterAll(() => rig.stop());

const acquire = (path: string, body: object = {}) => rig.json("POST", `/api/v1/locks${path}`, body);

describe("locks over HTTP", () => {
  test("a mutex is acquired once, extended, shown and released", async () => {
    const held = await acquire("/l/a", { ttlMs: 5_000, owner: "ann" });
    const refused = await acquire("/l/a");
    const { lockId } = held.json;
    const extended = await rig.json("PUT", "/api/v1/locks/l/a", { lockId, ttlMs: 9_000 });
    const shown = await rig.ask("GET", "/api/v1/locks/l/a");
    const released = await rig.ask("DELETE", `/api/v1/locks/l/a?lockId=${lockId}`);

    expect(held).toMatchObject({ status: 201, json: { generation: 1, ttlMs: 5_000 } });
    expect(held.json.fence).toMatch(/^[0-9]+$/);
    expect(refused).toMatchObject({ status: 423, json: { code: "LOCKED" } });
    expect(refused.json.detail).toContain('"/l/a" is held by ann');
    expect(extended).toMatchObject({ status: 200, json: { fence: held.json.fence, ttlMs: 9_000 } });
    expect(shown.json).toMatchObject({ kind: "mutex", holders: [{ lockId, fence: held.json.fence, owner: "ann" }] });
    expect(released.status).toBe(204);
    expect((await acquire("/l/a")).status).toBe(201);
  });

  test("a waiter gets the lock when it is released, with a larger fence", async () => {
    const held = await acquire("/l/w");
    const waiting = rig.send("POST", "/api/v1/locks/l/w", {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ waitMs: 30_000 }),
    });
    for (let i = 0; i < 50; i++) await rig.turn();
    await rig.ask("DELETE", "/api/v1/locks/l/w", { headers: { "nexus-lock-id": held.json.lockId } });
    const granted = await rig.drive(waiting);

    expect(granted.status).toBe(201);
    expect(BigInt(granted.json.fence)).toBeGreaterThan(BigInt(held.json.fence));
  });

  test("a waiter whose time is over is refused with LOCKED", async () => {
    await acquire("/l/t");
    expect(await acquire("/l/t", { waitMs: 300 })).toMatchObject({ status: 423, json: { code: "LOCKED" } });
  });

  /** A waiter of /l{path} under `id` that stands in the queue; how to close its connection. */
  async function queued(path: string, id: string, waiters: number) {
    const body = JSON.stringify({ waitMs: 100_000, ttlMs: 600_000 });
    const headers = { "content-type": "application/json", connection: "close", ...(id && { "nexus-request-id": id }) };
    const request = rig.request("POST", `/api/v1/locks${path}`, { headers });
    const answered = new Promise<number>((resolve, reject) => {
      request.once("response", (response) => resolve(response.statusCode ?? 0)).once("error", reject);
    });
    answered.catch(() => {});
    request.end(body);
    await waiting(path, waiters);
    return { answered, vanish: () => request.destroy() };
  }
  async function waiting(path: string, waiters: number) {
    for (let i = 0; i < 1_000; i++) {
      const { json } = await rig.ask("GET", `/api/v1/locks${path}`);
      if (json.waiters === waiters) return;
      await rig.turn(10);
    }
    throw new Error(`${path} never had ${waiters} waiters`);
  }

  test("a waiter whose connection closed leaves the queue, and the next one is granted", async () => {
    const held = await acquire("/l/v", { ttlMs: 600_000 });
    const dead = [await queued("/l/v", "", 1), await queued("/l/v", "11".repeat(16), 2)];
    const living = await queued("/l/v", "", 3);
    for (const one of dead) one.vanish();
    await waiting("/l/v", 1);
    await rig.ask("DELETE", `/api/v1/locks/l/v?lockId=${held.json.lockId}`);

    expect(await rig.drive(living.answered)).toBe(201);
  });

  test("a semaphore has as many holders as it has slots", async () => {
    const body = { kind: "semaphore", slots: 2 };
    const answers = [await acquire("/l/s", body), await acquire("/l/s", body), await acquire("/l/s", body)];

    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 423]);
    expect(await acquire("/l/s", { kind: "mutex" })).toMatchObject({ json: { code: "INVALID" } });
  });

  test("a lock that is not extended ends by its TTL, and its fence no longer writes", async () => {
    const first = await acquire("/l/f", { ttlMs: 200 });
    const write = (fence: string) =>
      rig.ask("PUT", "/api/v1/files/l/data", {
        body: "x",
        headers: { "nexus-fence": fence, "nexus-lock-path": "/l/f" },
      });
    expect((await write(first.json.fence)).status).toBe(201);
    for (let i = 0; i < 500; i++) await rig.turn();
    const second = await acquire("/l/f");

    expect(second.status).toBe(201);
    expect(await write(first.json.fence)).toMatchObject({ status: 412, json: { code: "FENCED" } });
    expect((await write(second.json.fence)).status).toBe(200);
    expect(await rig.json("PUT", "/api/v1/locks/l/f", { lockId: first.json.lockId })).toMatchObject({
      json: { code: "FENCED" },
    });
  });

  test("a lock may be held as long as the machine allows, and no longer", async () => {
    const { lockTtlMsMax } = defaultLimits;

    expect(await acquire("/l/long", { ttlMs: lockTtlMsMax })).toMatchObject({
      status: 201,
      json: { ttlMs: lockTtlMsMax },
    });
    expect(await acquire("/l/longer", { ttlMs: lockTtlMsMax + 1 })).toMatchObject({ status: 400 });
  });

  test("wrong bodies and ids are refused by their field", async () => {
    for (const body of [{ ttlMs: 1 }, { kind: "rw" }, { slots: 0 }, { waitMs: -1 }, { owner: "x".repeat(300) }]) {
      expect(await acquire("/l/x", body)).toMatchObject({ json: { code: "INVALID", status: 400 } });
    }
    const { json } = await acquire("/l/x", { ttl: 5000 });
    expect(json).toMatchObject({ code: "INVALID", detail: expect.stringContaining('"ttl"') });
    for (const query of ["", "?lockId=xyz", "?lockId=a&lockId=b"]) {
      expect(await rig.ask("DELETE", `/api/v1/locks/l/x${query}`)).toMatchObject({ json: { code: "INVALID" } });
    }
  });
});
