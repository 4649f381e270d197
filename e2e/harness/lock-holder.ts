// A lock holder in a process of its own, so that it can be stopped in the middle: argv context.json, lock path, TTL in
// ms. Prints its fence, then for each line on stdin (a path) writes there under the fence and prints what came of it.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { NexusError } from "@nexus-federation/node/base/errors.ts";
import { NexusClient } from "@nexus-federation/node/client/client.ts";

const [contextFile, lockPath, ttlMs] = process.argv.slice(2) as [string, string, string];
const client = new NexusClient(JSON.parse(readFileSync(contextFile, "utf8")));
const { fence } = await client.acquire(lockPath, { ttlMs: Number(ttlMs) });
console.log(JSON.stringify({ fence }));
for await (const path of createInterface({ input: process.stdin })) {
  const outcome = await client.put(path, "by the holder", { fence, lockPath }).then(
    () => "ok",
    (error: NexusError) => error.code,
  );
  console.log(JSON.stringify({ outcome }));
}
client.close();
process.exit(0);
