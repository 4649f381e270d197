import { Command } from "@nexus-federation/proto/command.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { Machine } from "./machine.ts";
import { MemoryStateStore } from "./memory-store.ts";
import { snapshot } from "./snapshot.ts";
import { acquireOp, codeOf, idOf, Rig, writeOp } from "./testing/rig.ts";

type Step = {
  act: "put" | "delete" | "rename" | "mkdir" | "tick" | "acquire" | "release";
  a: string;
  b: string;
  n: number;
};

const path = fc
  .array(fc.constantFrom("a", "b", "é"), { minLength: 1, maxLength: 3 })
  .map((parts) => `/${parts.join("/")}`);
const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom("put", "put", "delete", "rename", "mkdir", "tick", "acquire", "release"),
  a: path,
  b: path,
  n: fc.nat(5),
});

function play(rig: Rig, { act, a, b, n }: Step): string {
  switch (act) {
    case "put":
      return codeOf(rig.put(a, `content ${n}`, {}, { requestId: idOf(rig.machine.appliedIndex + 1000) }));
    case "delete":
      return codeOf(rig.run({ $case: "delete", value: { path: a, recursive: n > 2, condition: undefined } }));
    case "rename":
      return codeOf(rig.run({ $case: "rename", value: { from: a, to: b, replace: n > 2, condition: undefined } }));
    case "mkdir":
      return codeOf(rig.run({ $case: "mkdir", value: { path: a, parents: n > 2 } }));
    case "acquire":
      return codeOf(rig.run(acquireOp(a, { wait: n > 2 }), { requestId: idOf(n) }));
    case "release":
      return codeOf(rig.run({ $case: "release", value: { path: a, lockId: idOf(n) } }));
    case "tick":
      rig.timeMs += n * 100_000;
      return "tick";
  }
}

/** Files and directories as a flat map: "" is a directory. Slow and obvious. */
class Model {
  readonly entries = new Map<string, string>([["/", ""]]);

  put(at: string, text: string): string {
    const stop = this.#parentsProblem(at);
    if (stop) return stop;
    if (this.entries.get(at) === "") return "WRONG_TYPE";
    this.#makeParents(at);
    this.entries.set(at, text);
    return "operation";
  }
  delete(at: string, recursive: boolean): string {
    const stop = this.#parentsProblem(at);
    if (stop) return stop;
    if (!this.entries.has(at)) return "NOT_FOUND";
    const below = this.#below(at);
    if (below.length > 0 && !recursive) return "NOT_EMPTY";
    for (const one of [at, ...below]) this.entries.delete(one);
    return "operation";
  }
  mkdir(at: string, parents: boolean): string {
    const stop = this.#parentsProblem(at);
    if (stop) return stop;
    const there = this.entries.get(at);
    if (there !== undefined) return there === "" && parents ? "operation" : "ALREADY_EXISTS";
    if (!parents && !this.entries.has(parent(at))) return "NOT_FOUND";
    this.#makeParents(at);
    this.entries.set(at, "");
    return "operation";
  }
  rename(from: string, to: string, replace: boolean): string {
    const stop = this.#parentsProblem(from) ?? this.#parentsProblem(to);
    if (stop) return stop;
    const source = this.entries.get(from);
    if (source === undefined) return "NOT_FOUND";
    const target = this.entries.get(to);
    if (from === to) return "operation";
    if (target !== undefined && !replace) return "ALREADY_EXISTS";
    if (to.startsWith(`${from}/`)) return "INVALID";
    if (target !== undefined && (target === "") !== (source === "")) return "WRONG_TYPE";
    if (target === "" && this.#below(to).length > 0) return "NOT_EMPTY";
    const moved = [from, ...this.#below(from)].map((one) => [one, this.entries.get(one)!] as const);
    for (const [one] of moved) this.entries.delete(one);
    this.#makeParents(to);
    for (const [one, text] of moved) this.entries.set(to + one.slice(from.length), text);
    return "operation";
  }
  #below(at: string): string[] {
    return [...this.entries.keys()].filter((one) => one.startsWith(`${at}/`));
  }
  #parentsProblem(at: string): string | undefined {
    for (let up = parent(at); up !== "/"; up = parent(up)) if (this.entries.get(up)) return "WRONG_TYPE";
    return undefined;
  }
  #makeParents(at: string): void {
    for (let up = parent(at); up !== "/"; up = parent(up)) this.entries.set(up, "");
  }
}
const parent = (at: string) => at.slice(0, at.lastIndexOf("/")) || "/";

function judge(model: Model, { act, a, b, n }: Step): string | undefined {
  if (act === "put") return model.put(a, `content ${n}`);
  if (act === "delete") return model.delete(a, n > 2);
  if (act === "rename") return model.rename(a, b, n > 2);
  if (act === "mkdir") return model.mkdir(a, n > 2);
  return undefined;
}

function treeOf(rig: Rig): Map<string, string> {
  const out = new Map<string, string>([["/", ""]]);
  const listing = rig.machine.list("/", { recursive: true });
  if (isRefusal(listing)) throw new Error(listing.message);
  for (const entry of listing.entries) {
    const read = rig.machine.read(entry.path);
    out.set(entry.path, isRefusal(read) ? "" : Buffer.from(read.content).toString());
  }
  return out;
}

describe("the machine as a whole", () => {
  it("files behave as the slow obvious model says", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const rig = new Rig();
        const model = new Model();
        for (const one of steps) {
          const code = play(rig, one);
          const wanted = judge(model, one);
          if (wanted) expect(code, JSON.stringify(one)).toBe(wanted);
        }
        expect([...treeOf(rig)].sort()).toEqual([...model.entries].sort());
      }),
      { numRuns: 300 },
    );
  });

  it("never more holders than slots, fences only grow, and waiters are served in order", () => {
    const act = fc.record({
      op: fc.constantFrom("acquire", "release", "expire", "cancel"),
      n: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(act, { maxLength: 60 }), (slots, acts) => {
        const rig = new Rig();
        const model = { holders: [] as number[], waiters: [] as number[], ended: new Set<number>(), fence: 0 };
        for (const { op, n } of acts) {
          const lockId = idOf(n);
          if (op === "acquire")
            rig.run(acquireOp("/s", { kind: "semaphore", slots, wait: true }), { requestId: lockId });
          if (op === "release") rig.run({ $case: "release", value: { path: "/s", lockId } });
          if (op === "expire") rig.run({ $case: "expire", value: { path: "/s", lockId, extendSeq: 0 } });
          if (op === "cancel") rig.run({ $case: "cancelWait", value: { path: "/s", waiterId: lockId } });
          stepLock(model, op, n, slots);
          const state = rig.machine.lock("/s");
          if (isRefusal(state)) throw new Error(state.message);
          expect(state.holders.map((holder) => Number(`0x${holder.lockId.toString("hex")}`))).toEqual(model.holders);
          expect(state.waiters).toBe(model.waiters.length);
          for (const effect of rig.effects) {
            if (effect.kind === "lock-granted") expect(effect.grant.counter).toBe(++model.fence);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("the same log gives the same bytes, drained each time or once, and a snapshot gives them again", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const rig = new Rig({ limits: { feedEventsMax: 10, blockEntries: 3 } });
        for (const one of steps) play(rig, one);
        const bytes = rig.bytes();
        expect(rig.replayed().bytes().equals(bytes)).toBe(true);
        expect(rig.restored().bytes().equals(bytes)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it("a member restored in the middle of the log ends with the same bytes", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.array(step, { maxLength: 20 }), (before, after) => {
        const rig = new Rig({ limits: { feedEventsMax: 4, blockEntries: 3 } });
        for (const one of before) play(rig, one);
        const other = rig.restored();
        for (const one of after) play(rig, one);
        for (const entry of rig.log.slice(rig.log.length - (rig.machine.appliedIndex - other.machine.appliedIndex)))
          other.machine.apply(entry);
        other.machine.flush();
        expect(other.bytes().equals(rig.bytes())).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it("bytes that are no command are refused alike everywhere, and never end the process", () => {
    const valid = Command.encode({
      requestId: idOf(1),
      requestTimeMs: 1_000_000,
      principal: "p",
      logTimeMs: 1_000_000,
      operation: { op: writeOp("/a/b", "text", { metadata: { k: "v" } }) },
    }).finish();
    const mutated = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }).map((flips) => {
      const bytes = Uint8Array.from(valid);
      for (const [at, value] of flips) bytes[at] = value;
      return bytes;
    });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated);
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 8 }), (entries) => {
        const rig = new Rig();
        const replies = entries.map((data) => rig.apply(data).reply);
        const other = new Rig();
        expect(entries.map((data) => other.apply(data).reply)).toEqual(replies);
        expect(other.bytes().equals(rig.bytes())).toBe(true);
      }),
      { numRuns: 1000 },
    );
    expect(codeOf(new Rig().apply(Uint8Array.of(255, 255, 255)).reply)).toBe("INVALID");
  });

  it("keeps the applied index and the feature level", () => {
    const store = new MemoryStateStore();
    const machine = new Machine(store, { generation: 3 });
    machine.apply({ index: 6, term: 1, data: new Uint8Array(0) });
    machine.flush();

    const again = new Machine(store, { generation: 3 });

    expect([again.appliedIndex, again.level]).toEqual([6, 1]);
    expect(() => again.apply({ index: 6, term: 1, data: new Uint8Array(0) })).toThrow(/in order/);
    expect([...snapshot(store)].length).toBe(1);
  });

  it("a command that does not survive encoding is applied as its followers will see it", () => {
    for (const metadata of [{ "\ud800": "1", "\ud801": "2" }, JSON.parse('{"__proto__": "x"}'), { k: "\udfff" }]) {
      const [leader, follower] = [new Rig(), new Rig()];
      const command: Command = {
        requestId: idOf(1),
        requestTimeMs: leader.timeMs,
        principal: "",
        logTimeMs: leader.timeMs,
        operation: { op: writeOp("/f", "x", { metadata }) },
      };
      const entry = { index: 2, term: 1, data: Command.encode(command).finish() };

      expect(leader.machine.apply(entry, command)).toEqual(follower.machine.apply(entry));
      for (const rig of [leader, follower]) rig.machine.flush();
      expect(leader.bytes().equals(follower.bytes())).toBe(true);
    }
  });

  it("a level above what this version knows is refused with VERSION", () => {
    expect(codeOf(new Rig().run({ $case: "raiseLevel", value: { level: 99 } }))).toBe("VERSION");
  });
});

interface LockModel {
  holders: number[];
  waiters: number[];
  ended: Set<number>;
}

function stepLock(model: LockModel, op: string, n: number, slots: number): void {
  if (op === "acquire") {
    if (model.ended.has(n) || model.holders.includes(n) || model.waiters.includes(n)) return;
    (model.holders.length < slots ? model.holders : model.waiters).push(n);
    return;
  }
  if (op === "cancel") {
    if (model.waiters.includes(n)) model.ended.add(n);
    model.waiters = model.waiters.filter((one) => one !== n);
    return;
  }
  if (!model.holders.includes(n)) return;
  model.ended.add(n);
  model.holders = model.holders.filter((one) => one !== n);
  const next = model.waiters.shift();
  if (next !== undefined) model.holders.push(next);
}
