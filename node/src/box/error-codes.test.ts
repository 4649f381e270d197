import { describe, expect, test } from "vitest";
import { type ErrorCode, errorCodes, refuse } from "../base/errors.ts";
import { encodeToken } from "../base/token.ts";
import type { Caller } from "./api.ts";
import { noOptions } from "./ask.ts";
import { anyone, codeOf, Federation, writeOp } from "./testing/federation.ts";
import { uploadWhole } from "./testing/transfers.ts";

const trio = ["a", "b", "w"];

/**
 * Codes that no request at the waist is answered with, and where they are tested: UNAUTHENTICATED is said by the doors
 * before there is a caller (server/grpc-fuzz.test.ts, server/http-files.test.ts); CORRUPT by a restore (restore.test.ts)
 * and by opening a disk (storage/, log/), since a damaged copy is never served: the box asks another holder.
 */
const elsewhere = ["UNAUTHENTICATED", "CORRUPT"] as const;
type AtWaist = Exclude<ErrorCode, (typeof elsewhere)[number]>;
type Produce = (federation: Federation) => Promise<string>;

const mutate = (op: object) => ({ $case: "mutate" as const, value: { op } }) as ReturnType<typeof writeOp>;
const acquire = (path: string, wait = false) =>
  mutate({ $case: "acquire", value: { path, kind: "mutex", slots: 1, ttlMs: 30_000, wait, owner: "" } });
const mkdir = (path: string) => mutate({ $case: "mkdir", value: { path, parents: false } });
const remove = (path: string) => mutate({ $case: "delete", value: { path, recursive: false, condition: undefined } });
const nothing = {
  ifMatch: Buffer.alloc(0),
  ifNoneMatch: false,
  fenceCounter: 0,
  fenceGeneration: 0,
  lockPath: "",
  ifExists: false,
};
function conditional(path: string, condition: Partial<typeof nothing>) {
  const op = writeOp(path, "x");
  const write = op.$case === "mutate" && op.value.op?.$case === "write" ? op.value.op.value : undefined;
  if (write !== undefined) write.condition = { ...nothing, ...condition };
  return op;
}
function logOf(federation: Federation): number {
  const rule = federation.node("a").directory.zone("all");
  return "code" in rule ? 0 : rule.log;
}
const leaderOf = (federation: Federation) => federation.cluster.leader(logOf(federation))?.name ?? "";
const followerOf = (federation: Federation) => (leaderOf(federation) === "a" ? "b" : "a");
const soft = (federation: Federation, locks = "") =>
  federation.zone({ zone: "soft", pattern: "/soft/**", mode: "eventual", locks, copiesDeclared: 1 }, ["c"]);
/** Bounds every request to what a test waits for. */
const briefly = { timeoutMs: 1_500 };

const produce: Record<AtWaist, Produce> = {
  NO_ZONE: async (f) => f.read("a", "/zone:none/x"),
  NOT_FOUND: async (f) => f.read("a", "/none"),
  PRECONDITION_FAILED: async (f) => codeOf(await f.ask("a", conditional("/none", { ifExists: true }))),
  CONSISTENCY: async (f) => {
    await soft(f);
    return codeOf(await f.ask("a", acquire("/soft/l")));
  },
  UNSUPPORTED_IN_MODE: async (f) => f.read("a", "/x", { readPreference: "authority" }),
  STALE_EPOCH: async (f) => {
    await f.zone({ zone: "deep", pattern: "/deep/**" }, ["c"]);
    return f.read("a", "/zone:all/deep/x", briefly);
  },
  NO_LEADER: async (f) => {
    f.cluster.box("w").crash();
    for (const name of ["a", "b"]) f.crash(name);
    await f.cluster.run(1_000);
    return codeOf(await f.write("c", "/x", "1", briefly));
  },
  AUTHORITY_UNREACHABLE: async (f) => {
    await soft(f);
    f.crash("c");
    await f.cluster.run(1_000);
    return codeOf(await f.write("a", "/soft/x", "1", briefly));
  },
  STALENESS_EXCEEDED: async (f) => {
    const follower = followerOf(f);
    f.crash(leaderOf(f));
    f.cluster.box("w").crash();
    await f.cluster.run(3_000);
    return f.read(follower, "/x", { readPreference: "local", maxStalenessMs: 500 });
  },
  COPIES_UNAVAILABLE: async (f) => codeOf(await f.write("a", "/x", "1", { minCopies: 3 })),
  LOCKED: async (f) => {
    await f.ask("a", acquire("/l"));
    return codeOf(await f.ask("b", acquire("/l")));
  },
  FENCED: async (f) =>
    codeOf(await f.ask("a", conditional("/x", { fenceCounter: 9, fenceGeneration: 1, lockPath: "/l" }))),
  UNKNOWN_OUTCOME: async (f) => {
    await f.write("c", "/warm", "1");
    for (const name of ["a", "b"]) f.cluster.hub.cut(name, "c");
    return codeOf(await f.write("c", "/x", "1", briefly));
  },
  ZONE_IN_USE: async (f) => {
    const destroyed = f.node("a").box.admin.destroyZone({ zone: "all", confirm: "all", abandoned: [] }, anyone);
    return (await f.cluster.settle(destroyed)).failure?.code ?? "";
  },
  LOOP: async (f) => {
    const { directory } = f.node("c");
    const ghost = { ...f.rule({ zone: "ghost", pattern: "" }, 999), members: ["a"] };
    const map = { epoch: directory.epoch, rules: [...directory.map.rules, ghost] };
    directory.install({ revision: 1_000_000, map, boxes: directory.boxes });
    const options = { ...noOptions, hops: ["a"], timeoutMs: 500 };
    const request = { id: 1, options, zone: "ghost", op: writeOp("/x", "1") };
    const peer: Caller = { ...anyone, kind: "box" };
    return codeOf(await f.cluster.settle(new Promise((resolve) => f.node("c").box.handle(request, peer, resolve))));
  },
  ZONE_UNAVAILABLE: async (f) => {
    for (const name of ["a", "b"]) f.crash(name);
    return f.read("c", "/x", briefly);
  },
  DENIED: async (f) => {
    const caller: Caller = { ...anyone, check: (right, path) => refuse("DENIED", `${right} ${path}`) };
    const request = { id: 1, options: undefined, zone: "", op: writeOp("/x", "1") };
    return codeOf(await f.cluster.settle(new Promise((resolve) => f.node("a").box.handle(request, caller, resolve))));
  },
  INVALID: async (f) => f.read("a", "/x//y"),
  ALREADY_EXISTS: async (f) => {
    await f.ask("a", mkdir("/d"));
    return codeOf(await f.ask("a", mkdir("/d")));
  },
  NOT_EMPTY: async (f) => {
    await f.write("a", "/d/x", "1");
    return codeOf(await f.ask("a", remove("/d")));
  },
  WRONG_TYPE: async (f) => {
    await f.write("a", "/d/x", "1");
    return f.read("a", "/d");
  },
  COMPACTED: async (f) => {
    for (let i = 0; i < 5; i++) await f.write("a", `/x${i}`, "1");
    const belowIndex = f.cluster.box(leaderOf(f)).view(logOf(f))?.applied ?? 0;
    const compact = { op: { $case: "compactFeed" as const, value: { belowIndex } } };
    await f.cluster.settle(f.node("a").box.ask({ $case: "mutate", value: compact }, { zone: "all" }));
    const watch = { options: undefined, path: "/", after: "1.1.0", zone: "" };
    const frames = f.node("a").box.watch(watch, anyone, new AbortController().signal)[Symbol.asyncIterator]();
    return (await f.cluster.settle(frames.next())).value?.failure?.code ?? "";
  },
  DEADLINE: async (f) => codeOf(await f.write(leaderOf(f), "/x", "1", { timeoutMs: -1 })),
  VERSION: async (f) => {
    const raise = { op: { $case: "raiseLevel" as const, value: { level: 99 } } };
    return codeOf(await f.cluster.settle(f.node("a").box.ask({ $case: "mutate", value: raise }, { zone: "all" })));
  },
  EXPIRED: async (f) => {
    await f.write("a", "/x", "1");
    const requestTimeMs = f.cluster.clock.wallMs() - 3_600_000;
    return codeOf(await f.write("a", "/x", "2", { requestId: Buffer.alloc(16, 5), requestTimeMs }));
  },
  GENERATION_CHANGED: async (f) =>
    f.read("a", "/x", { after: encodeToken({ log: logOf(f), generation: 9, index: 1 }) }),
  INTERNAL: async (f) => {
    const caller: Caller = {
      ...anyone,
      check() {
        throw new Error("a fault in the door");
      },
    };
    const request = { id: 1, options: undefined, zone: "", op: writeOp("/x", "1") };
    return codeOf(await f.cluster.settle(new Promise((resolve) => f.node("a").box.handle(request, caller, resolve))));
  },
  TOO_LARGE: async (f) => codeOf(await uploadWhole(f, { box: "a", path: "/big" }, Buffer.alloc(2_000_000))),
  OVERLOADED: async (f) => {
    const sent = Array.from({ length: 300 }, (_, i) => f.send("a", writeOp(`/many/${i}`, "x")));
    const answers = await f.cluster.settle(Promise.all(sent));
    return answers.map(codeOf).find((code) => code !== "") ?? "";
  },
  DISK_FULL: async (f) => {
    await f.write("a", "/x", "1");
    for (const name of ["a", "b"]) f.cluster.box(name).diskLow = true;
    expect(codeOf(await f.ask("a", remove("/x")))).toBe("");
    return codeOf(await f.write("a", "/y", "1", briefly));
  },
};

describe("every error code is answered at the waist of a whole federation", () => {
  test.each(Object.entries(produce))("%s", async (code, run) => {
    const limits = { fileBytesMax: 1_500_000, requestsMax: 200 };
    const federation = await Federation.start([...trio, "c"], { system: 3, limits });
    await federation.zone({ zone: "all", pattern: "/**" }, trio);

    expect(await run(federation)).toBe(code);
  });

  test("but for those that are said elsewhere", () => {
    expect([...Object.keys(produce), ...elsewhere].sort()).toEqual([...errorCodes].sort());
  });
});
