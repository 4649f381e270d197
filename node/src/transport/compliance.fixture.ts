import { expect, test } from "vitest";
import { refuse } from "../base/errors.ts";
import { selfOf } from "./federation.fixture.ts";
import type { LinkHandler, PeerNetwork, Remote, SelfAddress, ServeHandler, Service } from "./ports.ts";

/** A network under test. `settle` lets time pass until `condition` holds. */
export interface Bench {
  start(self: SelfAddress, serve: Partial<Record<Service, ServeHandler>>): Promise<BenchBox>;
  settle(condition: () => boolean): Promise<void>;
  stop(): Promise<void>;
}
export interface BenchBox {
  network: PeerNetwork;
  endpoint: string;
  stop(): Promise<void>;
}

/** Records what an owner of links is told, in order. */
export class LinkLog implements LinkHandler {
  readonly events: string[] = [];
  readonly frames: string[] = [];
  up(remote: Remote): void {
    this.events.push(`up ${remote.box} ${remote.version}`);
  }
  down(box: string): void {
    this.events.push(`down ${box}`);
  }
  failed(_box: string, reason: string): void {
    if (this.events.at(-1) !== `failed ${reason}`) this.events.push(`failed ${reason}`);
  }
  frame(_remote: Remote, bytes: Uint8Array): void {
    this.frames.push(Buffer.from(bytes).toString());
  }
  get text(): string {
    return this.frames.join("");
  }
}

/** Records frames; answers each with "re:" in front when `echo`. */
export class ServeLog implements ServeHandler {
  readonly frames: string[] = [];
  closedCount = 0;
  readonly #echo: boolean;
  readonly #members: string[] | undefined;
  constructor(init: { echo?: boolean; members?: string[] } = {}) {
    this.#echo = init.echo ?? false;
    this.#members = init.members;
  }
  admit(remote: Remote) {
    if (this.#members === undefined || this.#members.includes(remote.box)) return undefined;
    return refuse("DENIED", `box ${remote.box} is no member`);
  }
  frame(session: Parameters<ServeHandler["frame"]>[0], bytes: Uint8Array): void {
    this.frames.push(Buffer.from(bytes).toString());
    if (this.#echo) session.reply(Buffer.from(`re:${Buffer.from(bytes).toString()}`));
  }
  closed(): void {
    this.closedCount++;
  }
  get text(): string {
    return this.frames.join("");
  }
}

const services: readonly Service[] = ["raft", "forward", "witness"];
const bytes = (text: string) => Buffer.from(text);

/** The contract of ports.ts; every PeerNetwork passes it. */
export function describeCompliance(makeBench: () => Promise<Bench>): void {
  const withBench = (name: string, run: (bench: Bench) => Promise<void>) =>
    test(name, async () => {
      const bench = await makeBench();
      try {
        await run(bench);
      } finally {
        await bench.stop();
      }
    });

  async function pair(bench: Bench, service: Service, serve: ServeLog) {
    const b = await bench.start(selfOf("b"), { [service]: serve });
    const a = await bench.start(selfOf("a"), {});
    const log = new LinkLog();
    a.network.onLink(service, log);
    const peer = { box: "b", endpoint: b.endpoint, incarnation: selfOf("b").incarnation, services: [service] };
    return { a, b, log, peer };
  }

  for (const service of services) {
    withBench(`${service}: messages arrive in order and replies come back`, async (bench) => {
      const serve = new ServeLog({ echo: true });
      const { a, log, peer } = await pair(bench, service, serve);

      a.network.setPeer(peer);
      await bench.settle(() => a.network.isUp(service, "b"));
      for (let i = 0; i < 100; i++) expect(a.network.send(service, "b", bytes(`<${i}>`))).toBe(true);

      const expected = Array.from({ length: 100 }, (_, i) => `<${i}>`).join("");
      await bench.settle(() => serve.text === expected && log.text.replaceAll("re:", "") === expected);
      expect(log.events).toEqual(["up b 0.1.0"]);
    });

    withBench(`${service}: a peer that is gone is reported and found again when it returns`, async (bench) => {
      const { a, b, log, peer } = await pair(bench, service, new ServeLog());
      a.network.setPeer(peer);
      await bench.settle(() => a.network.isUp(service, "b"));

      await b.stop();
      await bench.settle(() => log.events.includes("down b"));
      expect(a.network.isUp(service, "b")).toBe(false);
      const serve = new ServeLog();
      const again = await bench.start(selfOf("b"), { [service]: serve });
      a.network.setPeer({ ...peer, endpoint: again.endpoint });

      await bench.settle(() => a.network.isUp(service, "b"));
      a.network.send(service, "b", bytes("hello"));
      await bench.settle(() => serve.text.endsWith("hello"));
    });

    withBench(`${service}: another incarnation than expected is refused`, async (bench) => {
      const serve = new ServeLog();
      const { a, log, peer } = await pair(bench, service, serve);

      a.network.setPeer({ ...peer, incarnation: new Uint8Array(16).fill(9) });

      await bench.settle(() => log.events.some((event) => event.includes("another incarnation")));
      expect(a.network.isUp(service, "b")).toBe(false);
    });

    withBench(`${service}: a valid box that is no member is refused at the handshake`, async (bench) => {
      const { a, log, peer } = await pair(bench, service, new ServeLog({ members: ["c"] }));

      a.network.setPeer(peer);

      await bench.settle(() => log.events.some((event) => event.includes("box a is no member")));
      expect(a.network.isUp(service, "b")).toBe(false);
    });
  }

  withBench("witness: an unknown incarnation is allowed, as its records carry their own", async (bench) => {
    const { a, peer } = await pair(bench, "witness", new ServeLog());

    a.network.setPeer({ ...peer, incarnation: new Uint8Array(0) });

    await bench.settle(() => a.network.isUp("witness", "b"));
  });

  withBench("raft: messages sent before the stream is up are kept, forwards are refused", async (bench) => {
    const raft = new ServeLog();
    const b = await bench.start(selfOf("b"), { raft, forward: new ServeLog() });
    const a = await bench.start(selfOf("a"), {});
    a.network.onLink("raft", new LinkLog());
    a.network.onLink("forward", new LinkLog());

    const incarnation = selfOf("b").incarnation;
    a.network.setPeer({ box: "b", endpoint: b.endpoint, incarnation, services: ["raft", "forward"] });

    expect(a.network.send("raft", "b", bytes("vote"))).toBe(true);
    expect(a.network.send("forward", "b", bytes("put"))).toBe(false);
    await bench.settle(() => raft.text === "vote");
  });

  withBench("nothing is sent to a box that is no peer or no longer one", async (bench) => {
    const serve = new ServeLog();
    const { a, log, peer } = await pair(bench, "raft", serve);
    expect(a.network.send("raft", "b", bytes("x"))).toBe(false);
    a.network.setPeer(peer);
    await bench.settle(() => a.network.isUp("raft", "b"));

    a.network.removePeer("b");

    expect(a.network.send("raft", "b", bytes("x"))).toBe(false);
    expect(log.events).toEqual(["up b 0.1.0", "down b"]);
    await bench.settle(() => serve.closedCount === 1);
  });

  withBench("a message above 4 MiB is a bug of the caller", async (bench) => {
    const { a, peer } = await pair(bench, "raft", new ServeLog());
    a.network.setPeer(peer);
    await bench.settle(() => a.network.isUp("raft", "b"));

    expect(() => a.network.send("raft", "b", new Uint8Array(4 * 1024 * 1024 + 1))).toThrow("at most 4 MiB");
  });

  withBench("a newer stream of the same box replaces the older one", async (bench) => {
    const serve = new ServeLog();
    const { peer, a } = await pair(bench, "raft", serve);
    a.network.setPeer(peer);
    await bench.settle(() => a.network.isUp("raft", "b"));
    const twin = await bench.start(selfOf("a"), {});
    twin.network.onLink("raft", new LinkLog());

    twin.network.setPeer(peer);

    await bench.settle(() => serve.closedCount >= 1);
  });
}
