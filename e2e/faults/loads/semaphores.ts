import { randomBytes } from "node:crypto";
import { pause } from "../../harness/run.ts";
import type { Desk } from "./load.ts";

const slots = 2;
const ttlMs = 3000;
const holdMsMax = 60;

/**
 * Slots taken and given back. A slot whose release nobody confirmed ends by itself, never before its TTL since it was
 * asked for: from then on, and not earlier, the history lets it be gone.
 */
export async function holdSlot(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const { history } = load;
  const path = load.at("semaphores", "s");
  // The id of a lock is the id of the request that asked for it.
  const requestId = randomBytes(16);
  const call = { client: desk.number, model: "semaphore" as const, path, expected: "", slots };
  const value = requestId.toString("hex");
  const id = history.invoke({ ...call, kind: "acquire", value });
  let released = false;
  const expiry = setTimeout(() => {
    if (!released) history.invoke({ ...call, kind: "expire", value });
  }, ttlMs);
  try {
    const options = { kind: "semaphore" as const, slots, ttlMs, requestId, waitMs: load.settings.timeoutMs };
    await client.acquire(path, options);
    history.complete(id, { outcome: "ok" });
    load.answered++;
  } catch (error) {
    const refusal = load.outcomeOf(error);
    // Who waited may have been granted it while the refusal was on its way.
    const outcome = refusal.code === "LOCKED" ? "unknown" : refusal.outcome;
    load.refuse(id, path, { ...refusal, outcome });
    if (outcome === "none") clearTimeout(expiry);
    return;
  }
  await pause(load.below(holdMsMax));
  const end = history.invoke({ ...call, kind: "release", value });
  try {
    await client.release(path, requestId, { timeoutMs: load.settings.timeoutMs });
    released = true;
    clearTimeout(expiry);
    history.complete(end, { outcome: "ok" });
  } catch (error) {
    // NOT_FOUND: it had ended by itself.
    load.refuse(end, path, { ...load.outcomeOf(error), outcome: "unknown" });
  }
}
