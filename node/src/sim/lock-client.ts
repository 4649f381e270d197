import type { LockGrant } from "@nexus-federation/proto/records.ts";
import { parseFence, printFence } from "../base/fence.ts";
import { Client, grantIn } from "./client.ts";
import { acquireOp, writeOp } from "./requests.ts";
import { require } from "./violation.ts";

/** A client that takes locks, writes under them, and sometimes sleeps longer than it may. */
export class LockClient extends Client {
  readonly #locks: readonly string[];

  constructor(...[world, history, init]: [...ConstructorParameters<typeof Client>]) {
    super(world, history, init);
    this.#locks = init.paths;
  }

  protected override async one(): Promise<void> {
    const path = this.#locks[this.below(this.#locks.length)] as string;
    const ttlMs = 150 + this.below(700);
    const invokedMs = this.world.clock.now();
    const invoked = this.history.next();
    const operation = acquireOp(path, { ttlMs, wait: this.below(2) === 0, owner: `client ${this.id}` });
    const { response } = await this.change(operation, 300 + this.below(1_500));
    const grant = grantIn(response);
    this.world.trace.note("lock", this.id, path, grant?.counter ?? 0);
    if (grant === undefined) return;
    const printed = response?.receipt?.fence ?? "";
    const fence = parseFence(printed);
    require(fence?.counter === grant.counter && fence.generation === grant.generation, () => {
      return `the receipt's fence ${printed} is not that of the grant, ${printFence(grant.generation, grant.counter)}`;
    });
    const fromMs = this.world.clock.now();
    const until = await this.#hold(path, grant, invokedMs + ttlMs);
    const returned = this.history.next();
    this.history.holds.push({
      client: this.id,
      path,
      fence: BigInt(printed),
      invoked,
      returned,
      fromMs,
      untilMs: until,
    });
  }

  /** Returns when the lock was surely held until. */
  async #hold(path: string, grant: LockGrant, safeMs: number): Promise<number> {
    const { clock, random } = this.world;
    let untilMs = safeMs;
    for (let i = this.below(4); i > 0; i--) {
      const condition = { fenceCounter: grant.counter, fenceGeneration: grant.generation, lockPath: path };
      const content = Buffer.from(`${this.id} under ${grant.counter} ${i}`);
      await this.change(writeOp(`${path}.guarded`, content, condition));
      // Sometimes longer than the lock lives.
      await this.pause(random.unit() * (this.below(4) === 0 ? 1_200 : 60));
      if (this.below(3) > 0) continue;
      const askedMs = clock.now();
      const ttlMs = 150 + this.below(700);
      const extended = await this.change({ op: { $case: "extend", value: { path, lockId: grant.lockId, ttlMs } } });
      if (grantIn(extended.response) !== undefined) untilMs = askedMs + ttlMs;
      else if (extended.outcome !== "none") untilMs = Math.min(untilMs, askedMs + ttlMs);
    }
    const endMs = Math.min(untilMs, clock.now());
    if (this.below(3) > 0) await this.change({ op: { $case: "release", value: { path, lockId: grant.lockId } } });
    return endMs;
  }
}
