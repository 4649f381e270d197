// What an idle group keeps alive in a member: two hosts in one process (hosts.ts), so many new groups, memory after full
// collections before and after. Prints only. Run: node --expose-gc bench/idle-groups.ts [groups]
import { startPair } from "./hosts.ts";
import { sleep } from "./processes.ts";

const groups = Number(process.argv[2] ?? 300);
/** Collections, since a finalizer of one may free something for the next. */
const collections = 4;
/** After the last group was made: groups come to rest. */
const restMs = 5_000;

/** KiB that are alive: objects, and buffers outside of V8's heap. */
async function alive(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error("run it with --expose-gc");
  for (let i = 0; i < collections; i++) {
    globalThis.gc();
    await sleep(200);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1024;
}

const pair = await startPair();
await pair.group(1);
const before = await alive();
for (let log = 2; log < 2 + groups; log++) await pair.group(log);
await sleep(restMs);
const kib = ((await alive()) - before) / groups / pair.hosts.length;
console.log(`${groups} idle groups: ${kib.toFixed(1)} KiB a group and member (target: below 100)`);
pair.remove();
process.exit(0);
