import { describe, expect, it } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { acquireOp, codeOf, etagOf, grantIn, idOf, Rig, when, writeOp } from "./testing/rig.ts";

const cede = (pattern: string, epoch = 2) => ({ $case: "cede" as const, value: { pattern, epoch } });
const own = (pattern: string, exclusions: string[] = [], epoch = 2) => ({
  $case: "own" as const,
  value: { pattern, exclusions, epoch },
});
const rename = (from: string, to: string) => ({
  $case: "rename" as const,
  value: { from, to, replace: false, condition: undefined },
});
const remove = (path: string, recursive = false) => ({
  $case: "delete" as const,
  value: { path, recursive, condition: undefined },
});
const address = (n: number) => Buffer.from([1, ...Array(31).fill(0), n]);
const chunk = (n: number, size = 10) => ({ address: address(n), size });
const chunked = (path: string, numbers: number[], uploadIndex: number) =>
  writeOp(path, "", {
    content: Buffer.alloc(0),
    chunks: numbers.map((n) => chunk(n)),
    size: numbers.length * 10,
    uploadIndex,
  });
const drop = (numbers: number[]) => ({ $case: "dropChunks" as const, value: { addresses: numbers.map(address) } });

describe("ownership", () => {
  it("a zone that owns nothing refuses every path, and keeps its data while detached", () => {
    const rig = new Rig();
    rig.put("/a");

    rig.run(own(""));
    expect([codeOf(rig.put("/a")), isRefusal(rig.machine.stat("/a")) && rig.machine.stat("/a")]).toMatchObject([
      "STALE_EPOCH",
      { code: "STALE_EPOCH", epoch: 2 },
    ]);
    rig.run(own("/elsewhere/**", [], 3));

    expect(rig.machine.stat("/a")).toMatchObject({ type: "file" });
  });

  it("a subtree is ceded only when no file and no lock lies below, and their number is told", () => {
    const rig = new Rig({ owns: "/cn/**" });
    rig.put("/x/1");
    rig.put("/x/y/2");
    rig.put("/z");
    const lock = grantIn(rig.run(acquireOp("/x/l"), { requestId: idOf(1) }));

    expect(rig.run(cede("/cn/x/**")).result).toMatchObject({
      value: { code: "NOT_EMPTY", details: { files: "2", locks: "1" } },
    });
    expect(codeOf(rig.run(cede("/us/**")))).toBe("INVALID");
    rig.run({ $case: "release", value: { path: "/x/l", lockId: lock.lockId } });
    rig.run(remove("/x/1"));
    rig.run(remove("/x/y/2"));
    expect(codeOf(rig.run(cede("/cn/x/**")))).toBe("empty");

    expect([codeOf(rig.put("/x/1")), codeOf(rig.put("/xx/1")), codeOf(rig.run(acquireOp("/x/l")))]).toEqual([
      "STALE_EPOCH",
      "operation",
      "STALE_EPOCH",
    ]);
    expect(codeOf(rig.run(cede("/cn/y/**", 1)))).toBe("STALE_EPOCH");
    expect(rig.machine.ownership).toEqual({ pattern: "/cn/**", exclusions: ["/cn/x/**"], epoch: 2 });
  });

  it("a pattern with stars is ceded by looking only where it can match", () => {
    const rig = new Rig();
    rig.put("/cn/locks/a");
    rig.put("/cn/data/a");

    expect(rig.run(cede("/*/locks/**")).result).toMatchObject({
      value: { code: "NOT_EMPTY", details: { files: "1" } },
    });
    rig.run(remove("/cn/locks/a"));
    expect(codeOf(rig.run(cede("/*/locks/**")))).toBe("empty");
    expect(rig.machine.stat("/cn/locks")).toMatchObject({ code: "STALE_EPOCH" });
    const listing = rig.machine.list("/cn");
    expect(isRefusal(listing) ? listing : listing.entries.map((entry) => entry.name)).toEqual(["data"]);
  });

  it("a directory with another rule's paths below is not moved, copied or removed as a whole", () => {
    const rig = new Rig();
    rig.put("/cn/data/a");
    rig.run(cede("/cn/x/**"));

    expect(codeOf(rig.run(rename("/cn", "/us")))).toBe("ZONE_IN_USE");
    expect(codeOf(rig.run(remove("/cn", true)))).toBe("ZONE_IN_USE");
    expect(codeOf(rig.run(rename("/cn/data", "/cn/x/data")))).toBe("STALE_EPOCH");
    expect(codeOf(rig.run(rename("/cn/data", "/us")))).toBe("operation");
  });

  it("what a former hand-over left under way comes too late once the zone was given back under a fresh epoch", () => {
    const rig = new Rig({ owns: "/cn/**" });
    const mode = (epoch: number) => ({
      $case: "setPolicy" as const,
      value: { mode: "eventual", locks: "refuse", copiesDeclared: 1, acceptedRevision: 0, acceptedHash: "", epoch },
    });
    expect(codeOf(rig.run(cede("/cn/x/**", 2)))).toBe("empty");
    expect(codeOf(rig.run(own("/cn/**", [], 3)))).toBe("empty");

    expect([cede("/cn/x/**", 2), own("", [], 2), mode(2)].map((op) => codeOf(rig.run(op)))).toEqual([
      "STALE_EPOCH",
      "STALE_EPOCH",
      "STALE_EPOCH",
    ]);
    expect(rig.machine.ownership).toEqual({ pattern: "/cn/**", exclusions: [], epoch: 3 });
    expect(codeOf(rig.run(mode(4)))).toBe("empty");
    expect(codeOf(rig.run(mode(3)))).toBe("STALE_EPOCH");
  });

  it("an owner's new exclusion is judged like a cession, and a pattern changes only through detachment", () => {
    const rig = new Rig({ owns: "/cn/**" });
    rig.put("/x/1");
    expect(codeOf(rig.run(own("/cn/**", ["/cn/x/**"])))).toBe("NOT_EMPTY");
    expect(codeOf(rig.run(own("/cn/**", ["/us/**"])))).toBe("INVALID");
    expect(codeOf(rig.run(own("/us/**")))).toBe("INVALID");
    expect(codeOf(rig.run(own("/cn/**", ["/cn/y/**"])))).toBe("empty");
    expect(codeOf(rig.run(own("/cn/**", [], 3)))).toBe("empty");
    expect(codeOf(rig.put("/y/1"))).toBe("operation");
  });
});

describe("chunks", () => {
  it("live as long as a file refers to them, and are dropped only then", () => {
    const rig = new Rig();
    rig.run(chunked("/a", [1, 2, 2], 1));
    rig.run({ $case: "copy", value: { from: "/a", to: "/b", replace: false, condition: undefined } });
    expect(rig.machine.read("/a")).toMatchObject({ info: { size: 30 }, chunks: [chunk(1), chunk(2), chunk(2)] });

    rig.run(drop([1, 2, 3]));
    expect(rig.effects).toMatchObject([{ kind: "chunks-dropped", addresses: [address(3)] }]);
    rig.put("/a", "small");
    expect([...rig.machine.referencedChunks()].length).toBe(2);
    rig.run(remove("/b"));
    expect([...rig.machine.referencedChunks()]).toEqual([]);
    rig.run(drop([1, 2]));
    expect(rig.effects).toMatchObject([{ kind: "chunks-dropped", addresses: [address(1), address(2)] }]);
  });

  it("a write whose upload began before a chunk was dropped is refused, and changes nothing", () => {
    const rig = new Rig({ limits: { droppedChunksMax: 2 } });
    rig.run(drop([1]));
    const droppedAt = rig.machine.appliedIndex;

    expect(codeOf(rig.run(chunked("/a", [2, 1], droppedAt)))).toBe("COPIES_UNAVAILABLE");
    expect([...rig.machine.referencedChunks()]).toEqual([]);
    expect(codeOf(rig.run(chunked("/a", [1], droppedAt + 1)))).toBe("operation");
    rig.run(drop([4, 5]));
    rig.run(drop([6]));
    expect(codeOf(rig.run(chunked("/b", [9], droppedAt)))).toBe("COPIES_UNAVAILABLE");
    expect(codeOf(rig.run(chunked("/b", [1], droppedAt)))).toBe("operation");
  });

  it("sizes and addresses that do not fit are INVALID", () => {
    const rig = new Rig();
    expect(
      codeOf(rig.run(writeOp("/a", "", { content: Buffer.alloc(0), chunks: [chunk(1)], size: 11, uploadIndex: 1 }))),
    ).toBe("INVALID");
    expect(codeOf(rig.run(writeOp("/a", "x", { chunks: [chunk(1)], size: 10, uploadIndex: 1 })))).toBe("INVALID");
    const short = { address: Buffer.alloc(3), size: 10 };
    expect(
      codeOf(rig.run(writeOp("/a", "", { content: Buffer.alloc(0), chunks: [short], size: 10, uploadIndex: 1 }))),
    ).toBe("INVALID");
  });
});

describe("change feed", () => {
  const events = (rig: Rig, after: number, limit = 100) => {
    const page = rig.machine.eventsAfter(after, limit);
    return isRefusal(page) ? page.code : page.events.map((event) => `${event.kind} ${event.path}`);
  };

  it("tells every change in order, the events of one entry together", () => {
    const rig = new Rig();
    const start = rig.machine.appliedIndex;
    rig.put("/d/f");
    rig.put("/d/f");
    rig.run(rename("/d", "/e"));
    rig.run(remove("/e", true));

    expect(events(rig, start)).toEqual([
      "directory-created /d",
      "created /d/f",
      "modified /d/f",
      "moved /e",
      "deleted /e/f",
      "directory-deleted /e",
    ]);
    const page = rig.machine.eventsAfter(start, 1);
    expect(page).toMatchObject({ events: [{ ordinal: 0 }, { ordinal: 1 }], nextIndex: start + 1 });
    expect(events(rig, rig.machine.appliedIndex)).toEqual([]);
  });

  it("keeps within its bound by whole entries, and says COMPACTED below its floor", () => {
    const rig = new Rig({ limits: { feedEventsMax: 4, blockEntries: 1 } });
    rig.put("/d/1");
    const first = rig.machine.appliedIndex;
    for (const name of ["2", "3", "4", "5"]) rig.put(`/d/${name}`);
    expect(events(rig, first)).toHaveLength(4);
    rig.put("/d/6");

    expect(rig.machine.feedFloor).toBe(first + 1);
    expect(events(rig, first)).toBe("COMPACTED");
    expect(events(rig, first + 1)).toHaveLength(4);
    rig.run({ $case: "compactFeed", value: { belowIndex: Number.MAX_SAFE_INTEGER } });
    expect(rig.machine.feedFloor).toBe(rig.machine.appliedIndex - 1);
  });
});

describe("remembered requests", () => {
  it("a retry is answered as the first time and applied once, over a snapshot too", () => {
    const rig = new Rig();
    const more = { condition: when({ ifNoneMatch: true }) };
    const first = rig.put("/f", "x", more, { requestId: idOf(1) });
    const index = rig.machine.appliedIndex;
    const retried = { ...first, executedAt: index };

    expect(rig.put("/f", "x", more, { requestId: idOf(1) })).toEqual(retried);
    expect(rig.effects).toEqual([]);
    const other = rig.restored();
    expect(other.put("/f", "x", more, { requestId: idOf(1) })).toEqual(retried);
    expect(other.machine.stat("/f")).toMatchObject({ revision: index });
    expect(codeOf(rig.put("/f", "x", more, { requestId: idOf(2) }))).toBe("PRECONDITION_FAILED");
    rig.run(remove("/f"));
    expect(codeOf(rig.put("/f", "x", more, { requestId: idOf(2) }))).toBe("PRECONDITION_FAILED");
  });

  it("a request older than the window is EXPIRED and not executed, whatever was forgotten", () => {
    const rig = new Rig();
    const sentAt = rig.timeMs;
    rig.put("/f", "1", {}, { requestId: idOf(1) });
    rig.timeMs += 600_001;
    expect(codeOf(rig.put("/f", "1", {}, { requestId: idOf(1), requestTimeMs: sentAt }))).toBe("operation");
    expect(codeOf(rig.put("/g", "1", {}, { requestId: idOf(2), requestTimeMs: sentAt }))).toBe("EXPIRED");
    rig.age(660_001);
    for (let n = 10; n < 14; n++) rig.put("/other", "x", {}, { requestId: idOf(n) });

    expect(codeOf(rig.put("/f", "2", {}, { requestId: idOf(1), requestTimeMs: sentAt }))).toBe("EXPIRED");
    expect(codeOf(rig.put("/f", "2", {}, { requestId: idOf(3), requestTimeMs: rig.timeMs + 60_001 }))).toBe("INVALID");
    expect(codeOf(rig.put("/f", "2", {}, { requestId: Buffer.from("short") }))).toBe("INVALID");
  });

  it("a full table says OVERLOADED until requests age, and commands without an id go on", () => {
    const rig = new Rig({ limits: { requestsMax: 2 } });
    for (const n of [1, 2]) rig.put("/f", "x", {}, { requestId: idOf(n) });

    expect(rig.put("/f", "x", {}, { requestId: idOf(3) }).result).toMatchObject({
      value: { code: "OVERLOADED", retryAfterMs: 660_000 },
    });
    expect(codeOf(rig.put("/f"))).toBe("operation");
    rig.age(660_001);
    expect(codeOf(rig.put("/f", "x", {}, { requestId: idOf(3) }))).toBe("operation");
  });

  it("a leader's clock that jumps makes no request forgotten: a retry that bears no time is not executed again", () => {
    const rig = new Rig();
    rig.put("/f", "1", {}, { requestId: idOf(1) });
    rig.put("/f", "2", {}, { requestId: idOf(2) });
    rig.timeMs += 3_600_000;
    for (let n = 10; n < 80; n++) rig.put("/other", "x", {}, { requestId: idOf(n) });

    expect(codeOf(rig.put("/f", "1", {}, { requestId: idOf(1) }))).toBe("operation");
    expect(rig.machine.stat("/f")).toMatchObject({ etag: etagOf("2") });
  });

  it("a refusal that may pass is not remembered", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    expect(codeOf(rig.run(acquireOp("/l"), { requestId: idOf(2) }))).toBe("LOCKED");
    rig.run({ $case: "release", value: { path: "/l", lockId: held.lockId } });
    expect(codeOf(rig.run(acquireOp("/l"), { requestId: idOf(2) }))).toBe("grant");
  });

  it("log time never goes back", () => {
    const rig = new Rig();
    rig.timeMs -= 1;
    expect(codeOf(rig.put("/f"))).toBe("INVALID");
    expect(rig.machine.stat("/f")).toMatchObject({ code: "NOT_FOUND" });
    expect(etagOf("a")).toHaveLength(32);
  });
});
