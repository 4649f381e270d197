import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { pause, quantile, until } from "../harness/run.ts";
import { Workload } from "../harness/workload.ts";

const count = Number(process.env["NEXUS_FAULTS"] ?? 100);
/** A stopped leader is let go on after so long: its stale leadership must do no harm. */
const frozenMs = 3000;

let federation: Federation;
let load: Workload;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
});
afterAll(async () => {
  await load?.stop();
  expect(await federation?.down()).toEqual([]);
});

interface Fault {
  /** Strikes the leader and answers the moment of it. */
  strike: (leader: string) => Promise<number>;
  /** Undoes it, or waits until the supervisor did. */
  mend: () => Promise<void>;
}

function killed(): Fault {
  let name = "";
  let pid = 0;
  return {
    async strike(leader) {
      name = leader;
      pid = (await federation.box(leader)).pid;
      const at = performance.now();
      process.kill(pid, "SIGKILL");
      return at;
    },
    mend: async () => void (await federation.restarted(name, pid)),
  };
}

function frozen(): Fault {
  let pid = 0;
  return {
    async strike(leader) {
      await federation.box(leader);
      const at = performance.now();
      pid = await federation.freeze(leader);
      return at;
    },
    async mend() {
      await pause(frozenMs);
      federation.thaw(pid);
    },
  };
}

test.each([
  { name: "kill -9", fault: killed },
  { name: "SIGSTOP", fault: frozen },
])(
  "$name of the leader again and again: nothing acknowledged is lost, every register stays linearizable",
  async ({ name, fault }) => {
    load = new Workload(federation.client(), { path: `/faults/${name.replaceAll(" ", "")}`, pauseMs: 20 }).start();
    const gapsMs: number[] = [];
    for (let i = 0; i < count; i++) {
      await federation.whole();
      const { strike, mend } = fault();
      const at = await strike(await federation.leader());
      gapsMs.push(await until("a write is acknowledged again", () => load.recoveredAfter(at), 60_000));
      await mend();
    }
    await load.stop();
    const of = (q: number) => quantile(gapsMs, q).toFixed(0);
    console.log(
      `${name}: ${gapsMs.length} failovers, p50 ${of(0.5)} ms, p99 ${of(0.99)} ms, most ${of(1)} ms; ${load.acknowledged.length} writes acknowledged`,
    );
    load.history.write(join(federation.root, `${name}.jsonl`));
    expect(Math.max(...gapsMs)).toBeLessThan(10_000);
    expect(load.wrongRegisters()).toEqual([]);
    expect(await load.missing(federation.client())).toEqual([]);
  },
);
