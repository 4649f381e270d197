import type { Desk } from "./load.ts";

let items = 0;

interface Found {
  text: string;
  etag: Uint8Array | undefined;
}

/** Items added to one file by several clients: read, then swapped for a longer one. */
export async function appendItem(desk: Desk): Promise<void> {
  const { load, client } = desk;
  const path = load.at("lists", 0);
  const found = await readList(desk, path);
  if (found === undefined || load.chance(0.3)) return;
  const item = `${desk.number}.${++items}`;
  const content = found.text === "" ? item : `${found.text},${item}`;
  const condition = found.etag ? { ifMatch: found.etag } : { ifNoneMatch: true };
  const call = {
    client: desk.number,
    model: "list" as const,
    kind: "append" as const,
    path,
    value: item,
    expected: "",
  };
  const id = load.history.invoke(call);
  const invokedMs = performance.now();
  try {
    await client.put(path, content, { ...condition, timeoutMs: load.settings.timeoutMs });
    load.history.complete(id, { outcome: "ok" });
    load.acknowledge(invokedMs);
  } catch (error) {
    load.refuse(id, path, load.outcomeOf(error));
  }
}

async function readList(desk: Desk, path: string): Promise<Found | undefined> {
  const { load, client } = desk;
  const call = { client: desk.number, model: "list" as const, kind: "read" as const, path, value: "", expected: "" };
  const id = load.history.invoke(call);
  try {
    const { content, info } = await client.get(path, { timeoutMs: load.settings.timeoutMs });
    const text = Buffer.from(content).toString();
    load.history.complete(id, { outcome: "ok", value: text });
    load.answered++;
    return { text, etag: info.etag };
  } catch (error) {
    return load.refuseRead(id, error) ? { text: "", etag: undefined } : undefined;
  }
}
