import { expect, test } from "vitest";
import { anyone, codeOf, Federation } from "./testing/federation.ts";

const trio = ["a", "b", "w"];

test("a watch from another box shows every acknowledged change once and in order across a leader change", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  const stop = new AbortController();
  const seen: string[] = [];
  const tokens: string[] = [];
  const watch = async () => {
    // As a client does: after a failure it goes on from the last token.
    for (let after = ""; !stop.signal.aborted; after = tokens.at(-1) ?? "") {
      const request = { options: undefined, path: "/docs", after, zone: "" };
      for await (const frame of federation.node("c").box.watch(request, anyone, stop.signal)) {
        if (frame.failure !== undefined) break;
        tokens.push(frame.token);
        seen.push(...frame.events.filter((event) => event.kind === "created").map((event) => event.path));
      }
    }
  };
  const watching = watch();
  await federation.cluster.until(() => tokens.length > 0, 5_000, "the watch stands");

  const written: string[] = [];
  const write = async (from: number) => {
    for (let i = from; i < from + 20; i++) {
      expect(codeOf(await federation.write("c", `/docs/${i}`, "x"))).toBe("");
      written.push(`/docs/${i}`);
    }
  };
  await write(0);
  const rule = federation.node("a").directory.zone("docs");
  const leader = "code" in rule ? "" : (federation.cluster.leader(rule.log)?.name ?? "");
  federation.crash(leader);
  await write(20);
  await federation.cluster.until(() => seen.length >= written.length, 20_000, "the watch shows all");
  stop.abort();
  await federation.cluster.settle(watching);

  expect(seen).toEqual(written);
});

test("an eventual zone with locks: upgrade grants locks at its authority, and a fence guards its writes", async () => {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  const soft = { zone: "soft", pattern: "/soft/**", mode: "eventual", locks: "upgrade", copiesDeclared: 1 };
  await federation.zone(soft, ["c", "a:learner"]);
  const value = { path: "/soft/l", kind: "mutex", slots: 1, ttlMs: 30_000, wait: false, owner: "" };
  const acquire = { $case: "mutate" as const, value: { op: { $case: "acquire" as const, value } } };

  const granted = await federation.ask("b", acquire);

  expect(codeOf(granted)).toBe("");
  expect(granted.receipt?.fence).not.toBe("");
  expect(codeOf(await federation.ask("a", acquire))).toBe("LOCKED");
});
