import { randomBytes } from "node:crypto";
import { pause } from "../../harness/run.ts";
import type { Desk } from "./load.ts";

const ttlMs = 2000;
/** Some holders sleep for longer than their lock lives: their late write must be refused. */
const oversleepChance = 0.03;

/** One more under a lock: only the fence keeps two holders from losing a number. */
export async function incrementUnderLock(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const path = load.at("counters", "number");
  const lockPath = path.replace(/number$/, "lock");
  const requestId = randomBytes(16);
  const { timeoutMs } = load.settings;
  const granted = await client
    .acquire(lockPath, { ttlMs, waitMs: timeoutMs, requestId })
    .catch((error) => void load.outcomeOf(error));
  if (granted === undefined) return;
  try {
    const before = await readNumber(desk, path);
    if (before === undefined) return;
    if (load.chance(oversleepChance)) await pause(ttlMs * 1.5);
    const value = String(before + 1);
    const call = { client: desk.number, model: "counter" as const, kind: "increment" as const, path, expected: "" };
    const id = load.history.invoke({ ...call, value });
    const invokedMs = performance.now();
    try {
      await client.put(path, value, { fence: granted.fence, lockPath, timeoutMs });
      load.history.complete(id, { outcome: "ok" });
      load.acknowledge(invokedMs);
    } catch (error) {
      load.refuse(id, path, load.outcomeOf(error));
    }
  } finally {
    await client.release(lockPath, granted.grant.lockId, { timeoutMs }).catch((error) => void load.outcomeOf(error));
  }
}

async function readNumber(desk: Desk, path: string): Promise<number | undefined> {
  const { load, client } = desk;
  const call = { client: desk.number, model: "counter" as const, kind: "read" as const, path, value: "", expected: "" };
  const id = load.history.invoke(call);
  try {
    const { content } = await client.get(path, { timeoutMs: load.settings.timeoutMs });
    const value = Buffer.from(content).toString();
    load.history.complete(id, { outcome: "ok", value });
    return Number(value);
  } catch (error) {
    return load.refuseRead(id, error) ? 0 : undefined;
  }
}
