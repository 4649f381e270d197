// Pitfalls one and two: the operator dies between any two writes, and between any step of a membership and the workload's.
// Which writes and deeds there are is counted, not listed, so that one that is added is covered by itself: a change is made
// again and again, each time with a life that ends one act later, until a life is not cut short any more.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { controlPlane, installCrds, side } from "./harness/api.ts";
import { FederationRun } from "./harness/federation-run.ts";
import { Living } from "./harness/living.ts";
import { picture } from "./harness/oracle.ts";

/** Acts of a change; a bound for a broken program. */
const actsMax = 200;
/** Every change starts boxes: with NEXUS_CRASH_ALL=1 a life ends after each act, else after about so many of them. */
const placesMax = process.env["NEXUS_CRASH_ALL"] ? actsMax : 8;

describe.skipIf(!controlPlane)("a member that is replaced while the operator dies", () => {
  let near: ReturnType<typeof side>;
  let living: Living;

  beforeAll(async () => {
    near = side();
    await installCrds(near.client);
    living = await Living.declare(near);
    await life();
    await living.load();
  }, 300_000);
  afterAll(async () => {
    await living?.stop();
    near?.connection.close();
  });

  /** From its start to the end that is asked for, or to the crash. Answers whether it was cut short, and its acts. */
  async function life(crashAfter?: number): Promise<{ crashed: boolean; acts: number }> {
    const { adminEndpoint, namespace } = living;
    const run = await new FederationRun(near, namespace, { crashAfter, adminEndpoint }).start();
    await run.settle(living.settled);
    const { crashed, acts } = run;
    await run.stop();
    return { crashed, acts };
  }

  /** Box `out` gives its place to box `into`, with the first life cut short. */
  async function replace({ out, into }: { out: string; into: string }, crashAfter?: number) {
    living.made.forget();
    living.pods.watchReady();
    await living.addBox(into);
    await living.change("RaftGroup", "main", { members: living.members("nexus-1", into) });
    await living.remove("Box", out);
    const first = await life(crashAfter);
    if (first.crashed) await life();
    await living.removeClaim(out);
    const seen = await picture(near.client, living.namespace);
    return { ...first, seen, made: living.made.lines(), readyMin: living.pods.readyMin };
  }

  test("wherever it dies, the next life ends the change: same objects, each made and deleted once, never below a majority", async () => {
    const there = { out: "nexus-2", into: "nexus-3" };
    const back = { out: "nexus-3", into: "nexus-2" };
    const undisturbed = [await replace(there), await replace(back)] as const;
    const ways = [
      [there, undisturbed[0]],
      [back, undisturbed[1]],
    ] as const;

    const wrong: object[] = [];
    const stride = Math.ceil(undisturbed[0].acts / placesMax);
    let place = 1;
    let lives = 0;
    for (let cut = true; cut && place < actsMax; place += stride) {
      const [way, model] = ways[lives++ % 2]!;
      const { crashed, seen, made, readyMin } = await replace(way, place);
      cut = crashed;
      const same = JSON.stringify([seen, made]) === JSON.stringify([model.seen, model.made]);
      const other = (of: string[], than: string[]) => of.filter((line) => !than.includes(line));
      if (same && readyMin >= 2) continue;
      const found = { place, readyMin, seen: other(seen, model.seen), made: other(made, model.made) };
      console.log(JSON.stringify(found));
      wrong.push(found);
    }

    console.log(
      `killed ${lives - 1} times, every ${stride}. act (undisturbed: ${undisturbed.map(({ acts }) => acts).join(", ")})`,
    );
    expect(wrong).toEqual([]);
    expect(place).toBeLessThan(actsMax);
    await living.judge();
  }, 1_800_000);
});
