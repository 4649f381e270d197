import type { BoxRecord } from "@nexus-federation/proto/records.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import { ruleOf } from "../tree/testing/rule.ts";
import { SessionPool } from "./pool.ts";
import type { Session } from "./session.ts";

const rule = (zone: string, pattern: string, log: number) =>
  ruleOf({ zone, pattern, log, generation: 3, members: ["one", "two"] });
const box = (name: string) => ({ name, clientEndpoint: `${name}:1` }) as unknown as BoxRecord;
/** As a box says hello: the system zone, which no path leads to, is among the rules. */
const map = { epoch: 1, rules: [rule("root", "/**", 6), rule("system", "", 1)] };

function pool(): SessionPool {
  const connect = async (endpoint: string) => ({ endpoint }) as unknown as Session;
  return new SessionPool({ endpoints: ["one:1", "two:1"], connect, clock: new VirtualClock() });
}

test("a call goes to the box that served its zone last, though the first session leads to another", async () => {
  const sessions = pool();
  const first = await sessions.seed();
  sessions.learnMap(map, [box("one"), box("two")]);
  const other = first.endpoint === "one:1" ? "two" : "one";

  sessions.learnAnswer({ receipt: { zone: "root", logTimeMs: 0 }, servedBy: other } as unknown as Response);
  sessions.sessionFor("/a", undefined);
  for (let i = 0; i < 10; i++) await undefined;

  expect(sessions.sessionFor("/a", undefined)?.endpoint).toBe(`${other}:1`);
});

test("a change is pinned to the log that the map names for its path", () => {
  const sessions = pool();

  sessions.learnMap(map, []);

  expect(sessions.pinOf("/a", "")).toEqual({ pinLog: 6, pinGeneration: 3 });
});

test("an endpoint that takes its packets and says nothing holds up the next one for a quarter of a second only", async () => {
  const clock = new VirtualClock();
  const connect = (endpoint: string) =>
    endpoint === "one:1" ? new Promise<Session>(() => {}) : Promise.resolve({ endpoint } as unknown as Session);
  const sessions = new SessionPool({ endpoints: ["two:1", "one:1"], connect, clock });

  const found = sessions.seed();
  await clock.run(250);

  expect((await found).endpoint).toBe("two:1");
});
