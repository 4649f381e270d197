import { describe, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { describeCompliance, LinkLog, ServeLog } from "./compliance.fixture.ts";
import { type Started, selfOf, startBox, until } from "./federation.fixture.ts";

const authority = await Authority.create("acme", Date.now());

describe("the gRPC network", () => {
  describeCompliance(async () => {
    const boxes: Started[] = [];
    return {
      async start(self, serve) {
        const box = await startBox(authority, self, { serve });
        boxes.push(box);
        return { network: box.network, endpoint: `127.0.0.1:${box.port}`, stop: box.stop };
      },
      settle: until,
      stop: async () => {
        for (const box of boxes) await box.stop();
      },
    };
  });
});

test("a box that restarts on its address is found again, and messages flow in both directions", async () => {
  const first = await startBox(authority, selfOf("b"), { serve: { forward: new ServeLog() } });
  const caller = await startBox(authority, selfOf("a"), { serve: {} });
  const log = new LinkLog();
  caller.network.onLink("forward", log);
  const { incarnation } = selfOf("b");
  caller.network.setPeer({ box: "b", endpoint: `127.0.0.1:${first.port}`, incarnation, services: ["forward"] });
  await until(() => caller.network.isUp("forward", "b"));

  await first.stop();
  const serve = { forward: new ServeLog({ echo: true }) };
  const second = await startBox(authority, selfOf("b"), { serve, port: first.port });
  await until(() => log.events.filter((event) => event.startsWith("up")).length === 2);
  caller.network.send("forward", "b", Buffer.from("x"));
  await until(() => log.text === "re:x");

  expect(caller.network.connections("forward")).toEqual({ out: 1, in: 0 });
  expect(second.network.connections("forward")).toEqual({ out: 0, in: 1 });
  await caller.stop();
  await second.stop();
});
