import type { IncomingMessage } from "node:http";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DoorRig } from "./testing/rig.ts";

let rig: DoorRig;
beforeAll(async () => {
  rig = await DoorRig.start();
});
afterAll(() => rig.stop());

const put = (path: string, body: string) => rig.ask("PUT", `/api/v1/files${path}`, { body });

/** Events as they come, until closed. */
async function open(target: string, headers: Record<string, string> = {}) {
  const events: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => events.push(event) });
  const request = rig.request("GET", target, { headers });
  const response = await rig.drive(
    new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve).once("error", reject).end();
    }),
  );
  response.on("data", (part: Buffer) => parser.feed(part.toString()));
  response.on("error", () => {});
  const changes = () => events.filter((event) => event.event === "changes");
  const count = (wanted: number) =>
    rig.federation.cluster
      .until(() => true)
      .then(async () => {
        for (let i = 0; i < 5_000 && changes().length < wanted; i++) await rig.turn();
        return changes();
      });
  return { response, events, count, close: () => request.destroy() };
}

const pathsOf = (events: EventSourceMessage[]) =>
  events.flatMap((event) => (JSON.parse(event.data) as { path: string }[]).map((one) => one.path));

describe("watching over HTTP", () => {
  test("changes below a path come as events with what happened, others do not", async () => {
    const watch = await open("/api/v1/watch/seen");
    await rig.drive(put("/other/x", "1"));
    await rig.drive(put("/seen/a", "1"));
    const changes = await watch.count(1);
    watch.close();

    expect(watch.response.headers["content-type"]).toContain("text/event-stream");
    expect(pathsOf(changes)).toContain("/seen/a");
    expect(pathsOf(changes)).not.toContain("/other/x");
    expect(changes[0]?.id).toMatch(/^[0-9.]+$/);
  });

  test("a watch resumes behind the last event seen, by header and by query", async () => {
    const first = await open("/api/v1/watch/res");
    await put("/res/1", "1");
    const [seen] = await first.count(1);
    first.close();
    await put("/res/2", "2");
    await put("/res/3", "3");

    for (const [query, headers] of [
      ["", { "last-event-id": seen?.id ?? "" }],
      [`?after=${seen?.id}`, {}],
    ] as const) {
      const again = await open(`/api/v1/watch/res${query}`, headers as Record<string, string>);
      const changes = await again.count(1);
      again.close();
      expect(pathsOf(changes)).toEqual(expect.arrayContaining(["/res/2", "/res/3"]));
      expect(pathsOf(changes)).not.toContain("/res/1");
    }
  });

  test("a quiet watch says that it is alive", async () => {
    const watch = await open("/api/v1/watch/quiet");
    for (let i = 0; i < 200 && !watch.events.some((event) => event.event === "alive"); i++) await rig.turn(100);
    watch.close();

    expect(watch.events.some((event) => event.event === "alive")).toBe(true);
  });

  test("what is refused at once is a problem, not a stream", async () => {
    const wrong = await rig.ask("GET", "/api/v1/watch/x?after=nonsense");
    const gone = await rig.ask("GET", "/api/v1/watch/x?after=9.1.0");
    const path = await rig.ask("GET", "/api/v1/watch/x/../y");

    expect(wrong.json).toMatchObject({ code: "INVALID", status: 400 });
    expect(gone.json).toMatchObject({ code: "GENERATION_CHANGED", status: 409 });
    expect(path.json).toMatchObject({ code: "INVALID" });
  });
});
