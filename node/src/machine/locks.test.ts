import { describe, expect, it } from "vitest";
import { Machine } from "./machine.ts";
import { acquireOp, codeOf, grantIn, idOf, Rig, when } from "./testing/rig.ts";

const release = (path: string, lockId: Buffer) => ({ $case: "release" as const, value: { path, lockId } });
const extend = (path: string, lockId: Buffer, ttlMs = 30_000) => ({
  $case: "extend" as const,
  value: { path, lockId, ttlMs },
});
const expire = (path: string, lockId: Buffer, extendSeq = 0) => ({
  $case: "expire" as const,
  value: { path, lockId, extendSeq },
});
const cancel = (path: string, waiterId: Buffer) => ({ $case: "cancelWait" as const, value: { path, waiterId } });
const policy = (mode: string, locks = "refuse") => ({
  $case: "setPolicy" as const,
  value: { mode, locks, copiesDeclared: 1, acceptedRevision: 0, acceptedHash: "", epoch: 0 },
});

describe("locks", () => {
  it("a mutex has one holder, and every grant a larger fence", () => {
    const rig = new Rig();

    const first = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));

    expect(first).toMatchObject({ counter: 1, generation: 1, ttlMs: 30_000, lockId: idOf(1) });
    expect(rig.effects).toMatchObject([{ kind: "lock-granted", waited: false }]);
    expect(codeOf(rig.run(acquireOp("/l"), { requestId: idOf(2) }))).toBe("LOCKED");
    rig.run(release("/l", first.lockId));
    expect(grantIn(rig.run(acquireOp("/l"), { requestId: idOf(3) })).counter).toBe(2);
  });

  it("a lock of an earlier generation is not extended, and ends by its time or its release", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(2) });

    rig.machine = new Machine(rig.store, { generation: 2 });
    expect(codeOf(rig.run(extend("/l", held.lockId)))).toBe("FENCED");
    rig.run(release("/l", held.lockId));

    expect(rig.effects).toMatchObject([{ kind: "lock-ended" }, { kind: "lock-granted", grant: { generation: 2 } }]);
  });

  it("waiters are granted first come first served, and the effects say who", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    expect(rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(2) }).result).toMatchObject({
      value: { position: 1 },
    });
    expect(rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(3) }).result).toMatchObject({
      value: { position: 2 },
    });
    expect(rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(2) }).result).toMatchObject({
      value: { position: 1 },
    });

    rig.run(release("/l", held.lockId));

    expect(rig.effects).toMatchObject([
      { kind: "lock-ended" },
      { kind: "lock-granted", waited: true, waiterId: idOf(2) },
    ]);
    expect(grantIn(rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(2) })).counter).toBe(2);
    expect(rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(3) }).result).toMatchObject({
      value: { position: 1 },
    });
    expect(rig.machine.lock("/l")).toMatchObject({ holders: [{ counter: 2 }], waiters: 1 });
  });

  it("a semaphore has at most n holders, and another kind or n on a held path is INVALID", () => {
    const rig = new Rig();
    const semaphore = { kind: "semaphore", slots: 2 };
    for (const n of [1, 2]) expect(codeOf(rig.run(acquireOp("/s", semaphore), { requestId: idOf(n) }))).toBe("grant");
    expect(codeOf(rig.run(acquireOp("/s", semaphore), { requestId: idOf(3) }))).toBe("LOCKED");
    expect(codeOf(rig.run(acquireOp("/s"), { requestId: idOf(4) }))).toBe("INVALID");
    expect(codeOf(rig.run(acquireOp("/s", { kind: "semaphore", slots: 3 }), { requestId: idOf(5) }))).toBe("INVALID");
    expect(codeOf(rig.run(acquireOp("/t", { kind: "semaphore", slots: 0 }), { requestId: idOf(6) }))).toBe("INVALID");
    expect(codeOf(rig.run(acquireOp("/t", { ttlMs: 0 }), { requestId: idOf(7) }))).toBe("INVALID");
  });

  it("an expiry counts only for the grant and extension it was made for", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    const longer = grantIn(rig.run(extend("/l", held.lockId, 60_000)));

    rig.run(expire("/l", held.lockId, held.extendSeq));
    expect(rig.machine.locksHeld).toBe(1);
    rig.run(expire("/l", idOf(9), longer.extendSeq));
    expect(rig.machine.locksHeld).toBe(1);
    rig.run(expire("/l", held.lockId, longer.extendSeq));

    expect(rig.machine.locksHeld).toBe(0);
    expect(codeOf(rig.run(extend("/l", held.lockId)))).toBe("FENCED");
    expect(codeOf(rig.run(release("/l", held.lockId)))).toBe("NOT_FOUND");
  });

  it("a retry never returns a grant that has ended", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    expect(grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) })).counter).toBe(held.counter);
    rig.run(expire("/l", held.lockId));

    expect(codeOf(rig.run(acquireOp("/l"), { requestId: idOf(1) }))).toBe("EXPIRED");
    expect(rig.machine.locksHeld).toBe(0);
  });

  it("a wait that is given up frees its place, but a grant that came first stands", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    for (const n of [2, 3]) rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(n) });

    rig.run(cancel("/l", idOf(2)));
    expect(rig.effects).toMatchObject([{ kind: "wait-ended", waiterId: idOf(2) }]);
    rig.run(release("/l", held.lockId));
    expect(rig.effects).toMatchObject([{ kind: "lock-ended" }, { kind: "lock-granted", waiterId: idOf(3) }]);

    expect(grantIn(rig.run(cancel("/l", idOf(3)))).counter).toBe(2);
    expect(rig.machine.locksHeld).toBe(1);
  });

  it("a write under a fence needs a current holder's fence of this generation", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    const fenced = (counter: number, generation = 1) =>
      codeOf(
        rig.put("/f", "x", { condition: when({ fenceCounter: counter, fenceGeneration: generation, lockPath: "/l" }) }),
      );

    expect(fenced(held.counter)).toBe("operation");
    expect(fenced(held.counter + 1)).toBe("FENCED");
    expect(fenced(held.counter, 2)).toBe("GENERATION_CHANGED");
    rig.run(expire("/l", held.lockId));
    expect(fenced(held.counter)).toBe("FENCED");
  });

  it("two holders of a semaphore do not fence each other off", () => {
    const rig = new Rig();
    const semaphore = { kind: "semaphore", slots: 2 };
    const fences = [1, 2].map((n) => grantIn(rig.run(acquireOp("/s", semaphore), { requestId: idOf(n) })).counter);
    for (const fenceCounter of fences) {
      expect(codeOf(rig.put("/s", "x", { condition: when({ fenceCounter, fenceGeneration: 1 }) }))).toBe("operation");
    }
  });

  it("an eventual zone refuses locks and compare-and-set, unless it upgrades them", () => {
    const rig = new Rig();
    rig.run(policy("eventual"));

    expect(codeOf(rig.run(acquireOp("/l")))).toBe("CONSISTENCY");
    expect(codeOf(rig.put("/f", "x", { condition: when({ ifNoneMatch: true }) }))).toBe("CONSISTENCY");
    expect(codeOf(rig.put("/f"))).toBe("operation");
    rig.run(policy("eventual", "upgrade"));
    expect(codeOf(rig.run(acquireOp("/l")))).toBe("grant");
  });

  it("a zone that leaves its locking mode refuses new locks and flips when none is held", () => {
    const rig = new Rig();
    const held = grantIn(rig.run(acquireOp("/l"), { requestId: idOf(1) }));
    rig.run(acquireOp("/l", { wait: true }), { requestId: idOf(2) });

    rig.run(policy("eventual"));
    expect(rig.machine.policy.mode).toBe("strong");
    expect(codeOf(rig.run(acquireOp("/m"), { requestId: idOf(3) }))).toBe("CONSISTENCY");
    expect(codeOf(rig.run(extend("/l", held.lockId)))).toBe("grant");
    rig.run(release("/l", held.lockId));

    expect(rig.effects.map((effect) => effect.kind)).toEqual(["lock-ended", "wait-ended", "policy-changed"]);
    expect(rig.machine.policy.mode).toBe("eventual");
  });

  it("a new leader finds every held lock, and fences go on over a snapshot", () => {
    const rig = new Rig();
    for (const n of [1, 2]) rig.run(acquireOp(`/l${n}`), { requestId: idOf(n) });

    const other = rig.restored();

    expect([...other.machine.heldLocks()].map((lock) => [lock.path, lock.grant.counter])).toEqual([
      ["/l1", 1],
      ["/l2", 2],
    ]);
    expect(grantIn(other.run(acquireOp("/l3"), { requestId: idOf(3) })).counter).toBe(3);
  });
});
