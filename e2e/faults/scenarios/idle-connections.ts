// As many connections as a box takes, all of them silent after their handshake: it goes on serving, and memory stays in
// bounds. Above its limit it hangs up.
import { connect, type TLSSocket } from "node:tls";
import { clientListenerLimits } from "@nexus-federation/node/transport/listener.ts";
import { memoryBytes } from "../../harness/process-figures.ts";
import { quantile } from "../../harness/run.ts";
import { dataBoxes, type Finding, type Run, type Scenario } from "../scenario.ts";
import { closeWorld, openWorld } from "../world.ts";

const { connectionsMax } = clientListenerLimits;
const above = 50;
/** Handshakes under way at a time: the listener gives each five seconds. */
const atOnce = 20;
const [box] = dataBoxes;
/** Of the box, for a connection. */
const bytesMax = 128 * 1024;

async function measure(run: Run): Promise<Finding> {
  const wrong: string[] = [];
  const world = await openWorld(run);
  const { federation } = world;
  const held: TLSSocket[] = [];
  const figures: Record<string, number> = {};
  try {
    const { pid, grpc } = await federation.box(box);
    const client = await federation.clientOf(box);
    await client.put("/idle/before", "x");
    const before = memoryBytes(pid);
    let turnedAway = 0;
    const lane = async () => {
      while (held.length + turnedAway < connectionsMax + above) {
        run.stopped.throwIfAborted();
        const socket = await silent(grpc, federation.context().ca);
        if (socket) held.push(socket);
        else turnedAway++;
        run.progress(`${held.length} connections`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    const tookMs: number[] = [];
    for (let i = 0; i < 100; i++) {
      const from = performance.now();
      await client.put(`/idle/${i}`, "x", { timeoutMs: 20_000 });
      tookMs.push(performance.now() - from);
    }
    const open = held.filter((socket) => !socket.destroyed).length;
    const perConnection = (memoryBytes(pid) - before) / held.length;
    Object.assign(figures, { open, turnedAway, bytesEach: Math.round(perConnection) });
    figures["putP50Ms"] = Math.round(quantile(tookMs, 0.5));
    if (open > connectionsMax) wrong.push(`${open} connections are open, ${connectionsMax} are allowed`);
    if (turnedAway === 0) wrong.push("nobody was turned away above the limit");
    if (perConnection > bytesMax) wrong.push(`${Math.round(perConnection)} bytes for a silent connection`);
    if ((await federation.box(box)).pid !== pid) wrong.push(`${box} was restarted`);
  } finally {
    for (const socket of held) socket.destroy();
    await closeWorld(world, wrong);
  }
  return { figures, wrong };
}

/** Shakes hands and says nothing more; undefined when it is hung up on. */
function silent(endpoint: string, ca: string): Promise<TLSSocket | undefined> {
  const [host, port] = endpoint.split(":");
  return new Promise((resolve) => {
    const options = { host, port: Number(port), ca, ALPNProtocols: ["h2"], checkServerIdentity: () => undefined };
    const socket = connect(options, () => resolve(socket));
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
    socket.resume();
  });
}

export const idleConnections: Scenario = {
  name: "idle-connections",
  about: `${connectionsMax} silent connections to one box: it serves on, in bounds, and turns away more`,
  run: measure,
};
