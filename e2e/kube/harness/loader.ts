// Runs in a pod: clients that write and read while things happen to the boxes. GET /stop ends them, reads every
// acknowledged write back and answers what was found; GET /now answers how far they are.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { hostname } from "node:os";
import { NexusClient } from "@nexus-federation/node/client/client.ts";
import { Workload } from "../../harness/workload.ts";

const secret = (name: string) => readFileSync(`/etc/token/${name}`, "utf8");
const client = new NexusClient({
  endpoints: [secret("endpoint")],
  federation: secret("federation"),
  token: secret("token"),
  ca: secret("ca.crt"),
});
const begun = performance.now();
// Two loads at once have nothing in common.
const path = `/load/${hostname()}`;
const load = new Workload(client, { path, writers: 2, registerClients: 2, pauseMs: 20, timeoutMs: 20_000 }).start();

async function result() {
  await load.stop();
  return { ...now(), missing: await load.missing(), wrong: load.wrongRegisters() };
}

function now() {
  return {
    acknowledged: load.acknowledged.length,
    refused: Object.fromEntries(load.refused.counts),
    longestGapMs: Math.round(load.longestGap(load.acknowledged[0]?.atMs ?? begun, performance.now())),
  };
}

let ended: ReturnType<typeof result> | undefined;
createServer(async (request, response) => {
  if (request.url === "/stop") ended ??= result();
  response.end(JSON.stringify(request.url === "/stop" ? await ended : now()));
}).listen(8000);
