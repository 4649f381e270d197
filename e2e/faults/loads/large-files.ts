import { randomBytes } from "node:crypto";
import type { Desk } from "./load.ts";
import { etagOf } from "./registers.ts";

const bytesMin = 40_000;
const bytesMax = 1_200_000;

/** Files that travel beside the log, in chunks: a register whose content is looked at byte by byte. */
export async function moveLargeFile(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const path = load.at("large", "file");
  const { timeoutMs } = load.settings;
  if (load.chance(0.5)) {
    const id = load.history.invoke({ client: desk.number, kind: "read", path, value: "", expected: "" });
    try {
      const { content } = await client.get(path, { timeoutMs });
      load.history.complete(id, { outcome: "ok", value: etagOf(content) });
      load.answered++;
    } catch (error) {
      load.refuseRead(id, error);
    }
    return;
  }
  const content = randomBytes(bytesMin + load.below(bytesMax - bytesMin));
  const id = load.history.invoke({ client: desk.number, kind: "write", path, value: etagOf(content), expected: "" });
  const invokedMs = performance.now();
  try {
    // A stream has no time of its own: a box that hangs must not hold the client for ever.
    await client.put(path, content, { timeoutMs, signal: AbortSignal.timeout(timeoutMs * 2) });
    load.history.complete(id, { outcome: "ok" });
    load.acknowledge(invokedMs);
  } catch (error) {
    // A stream that broke says nothing of what became of its last frame; a full disk is the box's own word.
    const { code, outcome } = load.outcomeOf(error);
    load.refuse(id, path, { code, outcome: outcome === "none" && code !== "DISK_FULL" ? "unknown" : outcome });
  }
}
