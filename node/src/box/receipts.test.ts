import type { Receipt } from "@nexus-federation/proto/records.ts";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { codeOf, Federation, writeOp } from "./testing/federation.ts";

const names = ["a", "b", "w", "c"];
const steps = 25;

/** Writes from c and bounded-stale reads everywhere, while boxes crash and lines are cut at random. */
class Torment {
  readonly federation: Federation;
  readonly untrue: string[] = [];
  readonly acknowledged: { path: string; atMs: number }[] = [];
  reads = 0;
  #log = 0;
  #lastIndex = 0;
  #writes = 0;
  #stopped = false;

  constructor(federation: Federation) {
    this.federation = federation;
    const rule = federation.node("a").directory.zone("all");
    this.#log = "code" in rule ? 0 : rule.log;
  }

  /** A copy that is claimed lies on the disk of its box at the moment of the answer; a box that is down cannot be asked. */
  #checkCopies(receipt: Receipt, what: string): void {
    const holds = (name: string) => {
      const box = this.federation.cluster.box(name);
      const self = box.view(this.#log)?.progress.find((member) => member.box === name);
      return !box.up || (self?.match ?? 0) >= receipt.index;
    };
    const holders = ["a", "b"].filter(holds);
    if (receipt.copies > holders.length) this.untrue.push(`${what}: ${receipt.copies} copies, ${holders} hold it`);
    for (const region of receipt.regions) {
      if (!holds(region.slice("region-".length))) this.untrue.push(`${what}: region ${region} does not hold it`);
    }
    if (receipt.degraded && receipt.copies >= 2) this.untrue.push(`${what}: degraded with ${receipt.copies} copies`);
  }

  async write(): Promise<void> {
    while (!this.#stopped) {
      const path = `/n/${this.#writes++}`;
      const response = await this.federation.send("c", writeOp(path, path), { timeoutMs: 2_000 });
      if (codeOf(response) !== "" || response.receipt === undefined) continue;
      this.#checkCopies(response.receipt, `write ${path}`);
      const { index } = response.receipt;
      if (index <= this.#lastIndex) this.untrue.push(`write ${path} has revision ${index} after ${this.#lastIndex}`);
      this.#lastIndex = index;
      this.acknowledged.push({ path, atMs: this.federation.cluster.clock.now() });
    }
  }

  /** Reads what was acknowledged last: it may be missing only within the staleness that the receipt admits. */
  async read(name: string): Promise<void> {
    const last = this.acknowledged.at(-1);
    if (last === undefined || !this.federation.cluster.box(name).up) return;
    const sentMs = this.federation.cluster.clock.now();
    const options = { readPreference: "local", maxStalenessMs: 60_000, timeoutMs: 1_000 };
    const op = { $case: "read" as const, value: { path: last.path, infoOnly: false } };
    const response = await this.federation.send(name, op, options);
    const code = codeOf(response);
    if (response.receipt === undefined || (code !== "" && code !== "NOT_FOUND")) return;
    this.reads++;
    this.#checkCopies(response.receipt, `read on ${name}`);
    const { stalenessMs } = response.receipt;
    if (code === "NOT_FOUND" && last.atMs < sentMs - stalenessMs) {
      this.untrue.push(
        `read on ${name}: ${last.path} of ${last.atMs} is missing at ${sentMs}, ${stalenessMs} ms stale`,
      );
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

async function torment(seed: number): Promise<void> {
  const federation = await Federation.start(names, { system: 3, seed, diskMs: 1 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"]);
  const random = seededRandom(seed * 104_729);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.unit() * list.length)] as T;
  const { cluster } = federation;
  const run = new Torment(federation);
  const writing = run.write();
  const start = async (name: string) => (name === "w" ? cluster.box("w").start() : federation.restart(name));
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < 10; i++) {
      for (const name of ["a", "b"]) void run.read(name);
      await cluster.run(random.unit() * 40);
    }
    const down = names.filter((name) => !cluster.box(name).up);
    const action = random.unit();
    if (down.length > 0 && action < 0.6) await start(pick(down));
    else if (down.length === 0 && action < 0.4) {
      const name = pick(["a", "b", "w"]);
      if (name === "w") cluster.box("w").crash();
      else federation.crash(name);
    } else if (action < 0.7) cluster.hub.cut(pick(names), pick(names));
    else cluster.hub.healAll();
  }
  cluster.hub.healAll();
  for (const name of names) if (!cluster.box(name).up) await start(name);
  await cluster.run(8_000);
  run.stop();
  await cluster.settle(writing);

  expect(run.untrue).toEqual([]);
  expect(run.acknowledged.length).toBeGreaterThan(20);
  expect(run.reads).toBeGreaterThan(20);
}

describe("receipts under random crashes and cuts never claim more copies or freshness than there is", () => {
  const seeds = Number(process.env["NEXUS_BOX_SEEDS"] ?? 3);
  for (let seed = 1; seed <= seeds; seed++) test(`seed ${seed}`, () => torment(seed), 300_000);
});

test("a follower knows of its own copy only, and does not call that degraded", async () => {
  const federation = await Federation.start(["a", "b", "w"], { system: 3 });
  await federation.zone({ zone: "all", pattern: "/**" }, ["a", "b", "w"]);
  await federation.write("a", "/x", "1");
  const op = { $case: "read" as const, value: { path: "/x", infoOnly: false } };
  const rule = federation.node("a").directory.zone("all");
  const leader = "code" in rule ? "" : federation.cluster.leader(rule.log)?.name;

  for (const name of ["a", "b"]) {
    const { receipt } = await federation.ask(name, op, { readPreference: "local", maxStalenessMs: 60_000 });
    expect(receipt).toMatchObject({ copies: name === leader ? 2 : 1, degraded: false });
  }
});
