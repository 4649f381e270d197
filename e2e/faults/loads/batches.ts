import { randomBytes } from "node:crypto";
import { write } from "@nexus-federation/node/client/operations.ts";
import type { Desk } from "./load.ts";
import { etagOf } from "./registers.ts";

const files = 4;
const held = new WeakMap<Desk, string>();

/** Files that change together: the folder is one register, and a listing that shows two values is none of its states. */
export async function writeTogether(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const path = load.at("batches", "folder");
  if (load.chance(0.5)) return readTogether(desk, path);
  const content = randomBytes(12).toString("hex");
  const expected = held.get(desk) ?? "";
  const kind = expected !== "" && load.chance(0.5) ? ("cas" as const) : ("write" as const);
  const id = load.history.invoke({ client: desk.number, kind, path, value: etagOf(content), expected });
  const invokedMs = performance.now();
  const last = files - 1;
  const operations = Array.from({ length: files }, (_, i) =>
    // Only the last one has a condition: when it fails, those before it must not have happened.
    write(
      `${path}/${i}`,
      Buffer.from(content),
      kind === "cas" && i === last ? { ifMatch: Buffer.from(expected, "hex") } : {},
    ),
  );
  try {
    await client.batch(operations, { timeoutMs: load.settings.timeoutMs });
    load.history.complete(id, { outcome: "ok" });
    load.acknowledge(invokedMs);
    held.set(desk, etagOf(content));
  } catch (error) {
    load.refuse(id, path, load.outcomeOf(error));
    held.delete(desk);
  }
}

async function readTogether(desk: Desk, path: string): Promise<void> {
  const { load, client } = desk;
  const id = load.history.invoke({ client: desk.number, kind: "read", path, value: "", expected: "" });
  try {
    const { entries } = await client.list(path, { timeoutMs: load.settings.timeoutMs });
    const etags = new Set(entries.map((entry) => Buffer.from(entry.etag).toString("hex")));
    const whole = etags.size === 1 && entries.length === files;
    const value = entries.length === 0 ? "" : whole ? [...etags][0]! : `torn: ${entries.length} files, ${[...etags]}`;
    load.history.complete(id, { outcome: "ok", value });
    load.answered++;
    if (whole) held.set(desk, value);
  } catch (error) {
    load.refuseRead(id, error);
    held.delete(desk);
  }
}
