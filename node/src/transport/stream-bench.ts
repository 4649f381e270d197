// Prints how many messages a second a raw stream carries over mutual TLS between two processes' parts in one process
// (so both ends share a core). Run: node node/src/transport/stream-bench.ts [message bytes] [in flight] [seconds]

import { Authority } from "./authority.ts";
import { selfOf, startBox, until } from "./federation.fixture.ts";
import type { LinkHandler } from "./ports.ts";

const [bytes = 256, inFlight = 64, seconds = 3] = process.argv.slice(2).map(Number);
const authority = await Authority.create("bench", Date.now());
const message = new Uint8Array(bytes).fill(8);
const self = (box: string) => selfOf(box, { federation: "bench" });

const server = await startBox(authority, self("b"), {
  serve: {
    forward: { admit: () => undefined, frame: (session, batch) => void session.reply(batch), closed: () => {} },
  },
});
const caller = await startBox(authority, self("a"), { serve: {} });
let answered = 0;
const handler: LinkHandler = {
  up: () => {},
  down: () => {},
  frame: (_remote, batch) => {
    const count = batch.length / bytes;
    answered += count;
    for (let i = 0; i < count; i++) caller.network.send("forward", "b", message);
  },
};
caller.network.onLink("forward", handler);
const { incarnation } = self("b");
caller.network.setPeer({ box: "b", endpoint: `127.0.0.1:${server.port}`, incarnation, services: ["forward"] });
await until(() => caller.network.isUp("forward", "b"));

const startMs = performance.now();
for (let i = 0; i < inFlight; i++) caller.network.send("forward", "b", message);
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const perSecond = Math.round((answered / (performance.now() - startMs)) * 1000);
process.stdout.write(`${perSecond} round trips/s of ${bytes} B with ${inFlight} in flight\n`);
await caller.stop();
await server.stop();
