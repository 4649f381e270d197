// Puts at a rate, whether or not answers come: what becomes of each within its second. Straight over one stream to the
// leader and without retries: a client that keeps its promises costs more than the box, and would be what is measured.
import { randomBytes } from "node:crypto";
import { noOptions } from "../node/src/box/ask.ts";
import { connector } from "../node/src/client/connect.ts";
import { write } from "../node/src/client/operations.ts";
import type { Session } from "../node/src/client/session.ts";
import type { ClientSettings } from "../node/src/client/types.ts";
import { measured } from "./loop.ts";
import { type Measured, sleep } from "./processes.ts";

const timeoutMs = 1_000;
/** Answers are waited for so long after the last offer, ms. */
const graceMs = 3_000;
const folders = 256;
const files = 100;
const value = Buffer.alloc(256, "x");
const ids = randomBytes(64 * 1024);

/** An id of its own for each: a counter over random bytes. */
function idOf(turn: number): Buffer {
  const id = Buffer.from(ids.subarray((turn * 8) % 60_000, ((turn * 8) % 60_000) + 16));
  id.writeUInt32LE(turn);
  return id;
}

function put(session: Session, turn: number, done: (outcome: string, servedBy: string) => void): void {
  const operation = write(`/bench/${turn % folders}/${turn % files}`, value, {});
  const options = { ...noOptions, requestId: idOf(turn), timeoutMs };
  const request = { id: 0, options, zone: "", op: { $case: "mutate" as const, value: operation } };
  session.call(request, (response, broken) => {
    const failure = response?.result?.$case === "failure" ? response.result.value.code : undefined;
    done(broken?.code ?? failure ?? "ok", response?.servedBy ?? "");
  });
}

function boxOf(session: Session): Promise<string> {
  const request = { id: 0, options: noOptions, zone: "", op: { $case: "hello" as const, value: {} } };
  return new Promise((resolve) =>
    session.call(request, (response) => {
      resolve(response?.result?.$case === "hello" ? response.result.value.box : "");
    }),
  );
}

async function toLeader(settings: ClientSettings): Promise<{ leader: Session; close: () => void }> {
  const sessions = await Promise.all(settings.endpoints.map(connector(settings)));
  const close = () => {
    for (const session of sessions) session.close("done");
  };
  const servedBy = await new Promise<string>((resolve) => put(sessions[0]!, 0, (_, box) => resolve(box)));
  for (const session of sessions) if ((await boxOf(session)) === servedBy) return { leader: session, close };
  close();
  throw new Error(`no endpoint of the federation is that of its leader ${servedBy}`);
}

/** `rate` of the result is that of the successes. */
export async function offer(settings: ClientSettings, load: { rate: number; seconds: number }): Promise<Measured> {
  const { leader, close } = await toLeader(settings);
  const outcomes: Record<string, number> = {};
  const latencies: number[] = [];
  const began = performance.now();
  let offered = 0;
  let open = 0;
  const one = (turn: number) => {
    const start = performance.now();
    open++;
    put(leader, turn, (outcome) => {
      open--;
      const tookMs = performance.now() - start;
      const what = outcome === "ok" && tookMs > timeoutMs ? "late" : outcome;
      outcomes[what] = (outcomes[what] ?? 0) + 1;
      if (what === "ok") latencies.push(tookMs);
    });
  };
  for (let ms = 0; ms < load.seconds * 1000; ms = performance.now() - began) {
    for (const due = (load.rate * ms) / 1000; offered < due; offered++) one(offered + 1);
    await sleep(1);
  }
  const seconds = (performance.now() - began) / 1000;
  const end = performance.now() + graceMs;
  while (open > 0 && performance.now() < end) await sleep(10);
  if (open > 0) outcomes["no answer"] = open;
  close();
  return { ...measured(latencies, seconds), offered: offered / seconds, outcomes };
}
