import { createHash, randomBytes } from "node:crypto";
import type { NexusClient } from "@nexus-federation/node/client/client.ts";
import type { RegisterKind } from "../../harness/history.ts";
import type { Desk, Load } from "./load.ts";

export const etagOf = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

const registers = 3;
/** What each client believes of each path, for swaps that have a chance. */
const seen = new WeakMap<Desk, Map<string, string>>();

function kindOf(load: Load, known: string | undefined): RegisterKind {
  if (load.chance(0.4)) return "read";
  if (load.chance(0.5)) return "write";
  if (load.chance(0.2)) return "delete";
  return known ? "cas" : "create";
}

/** Files that are read, written, made, swapped and deleted by several clients; small enough to lie in the log. */
export async function useRegister(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const path = load.at("registers", load.below(registers));
  const known = seen.get(desk) ?? new Map<string, string>();
  seen.set(desk, known);
  const kind = kindOf(load, known.get(path));
  if (kind === "read") return void known.set(path, await readEtag(desk, path, desk.number));
  const content = randomBytes(12).toString("hex");
  const expected = kind === "cas" ? known.get(path)! : "";
  const value = kind === "delete" ? "" : etagOf(content);
  const id = load.history.invoke({ client: desk.number, kind, path, value, expected });
  const invokedMs = performance.now();
  try {
    await change(client, { kind, path, content, expected, timeoutMs: load.settings.timeoutMs });
    load.history.complete(id, { outcome: "ok" });
    load.acknowledge(invokedMs);
    known.set(path, value);
  } catch (error) {
    load.refuse(id, path, load.outcomeOf(error));
    known.delete(path);
  }
}

interface Change {
  kind: RegisterKind;
  path: string;
  content: string;
  expected: string;
  timeoutMs: number;
}

function change(client: NexusClient, { kind, path, content, expected, timeoutMs }: Change): Promise<unknown> {
  if (kind === "delete") return client.delete(path, { timeoutMs });
  const condition =
    kind === "cas" ? { ifMatch: Buffer.from(expected, "hex") } : kind === "create" ? { ifNoneMatch: true } : {};
  return client.put(path, content, { timeoutMs, ...condition });
}

/** The etag that a linearizable read finds, written down; empty when there is no file, or no answer. */
async function readEtag(desk: Desk, path: string, client: number): Promise<string> {
  const { load } = desk;
  const id = load.history.invoke({ client, kind: "read", path, value: "", expected: "" });
  try {
    const { info } = await desk.client.stat(path, { timeoutMs: load.settings.timeoutMs });
    const value = Buffer.from(info.etag).toString("hex");
    load.history.complete(id, { outcome: "ok", value });
    load.answered++;
    return value;
  } catch (error) {
    load.refuseRead(id, error);
    return "";
  }
}
