// etcd with three members, fsync on, TLS between members and to clients, and its own Go client as the load.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { freePorts, type Measured, measure, run, Server, sleep } from "../processes.ts";

const sources = import.meta.dirname;
const members = 3;

export class Etcd {
  readonly version: string;
  readonly #servers: Server[];
  readonly #leader: string;
  readonly #load: string;

  private constructor(version: string, servers: Server[], target: { leader: string; load: string }) {
    this.version = version;
    this.#servers = servers;
    this.#leader = target.leader;
    this.#load = target.load;
  }

  static version(): string {
    const version = /go\.etcd\.io\/etcd\/server\/v3 (v\S+)/.exec(readFileSync(join(sources, "go.mod"), "utf8"))?.[1];
    if (version === undefined) throw new Error("go.mod names no version of go.etcd.io/etcd/server/v3");
    return version;
  }

  /** Builds server and load generator once for each version, outside the tree. */
  static async build(say: (text: string) => void): Promise<{ server: string; load: string }> {
    const folder = join(homedir(), ".cache", "nexus-bench", Etcd.version());
    const built = { server: join(folder, "etcd"), load: join(folder, "etcdload") };
    mkdirSync(folder, { recursive: true });
    if (!existsSync(built.server)) {
      say("building etcd from its Go modules (about a minute, once)");
      await run({ command: "go", args: ["build", "-o", built.server, "./etcd"], cwd: sources });
    }
    await run({ command: "go", args: ["build", "-o", built.load, "./etcdload"], cwd: sources });
    return built;
  }

  /** Three fresh members under `folder`. */
  static async start(folder: string, say: (text: string) => void): Promise<Etcd> {
    const { server, load } = await Etcd.build(say);
    const ports = await freePorts(members * 2);
    const client = (i: number) => `https://127.0.0.1:${ports[i]}`;
    const peer = (i: number) => `https://127.0.0.1:${ports[members + i]}`;
    const cluster = Array.from({ length: members }, (_, i) => `m${i}=${peer(i)}`).join(",");
    const servers = Array.from({ length: members }, (_, i) => {
      const args = ["--name", `m${i}`, "--data-dir", join(folder, `m${i}`), "--log-level", "error"];
      args.push("--listen-client-urls", client(i), "--advertise-client-urls", client(i));
      args.push("--listen-peer-urls", peer(i), "--initial-advertise-peer-urls", peer(i));
      return new Server({
        command: server,
        args: [...args, "--initial-cluster", cluster, "--auto-tls", "--peer-auto-tls"],
      });
    });
    let leader = "";
    await servers[0]!.ready("etcd", async () => {
      for (let i = 0; i < members && leader === ""; i++) {
        const found = await measure({ command: load, args: ["-endpoints", client(i), "-mode", "leader"] });
        if (found.count === 1) leader = client(i);
      }
      return leader !== "";
    });
    await sleep(500);
    return new Etcd(Etcd.version(), servers, { leader, load });
  }

  /** Clients speak to the leader itself: on one machine that is etcd's best case, without a hop between members. */
  load(mode: string, options: { clients: number; seconds: number; rate?: number }): Promise<Measured> {
    const { clients, seconds, rate = 0 } = options;
    const args = ["-endpoints", this.#leader, "-mode", mode, "-clients", String(clients), "-seconds", String(seconds)];
    return measure({ command: this.#load, args: [...args, "-rate", String(rate)] });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}
