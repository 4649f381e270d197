// Redis with `appendfsync always`, driven by redis-benchmark without pipelining.
import { freePorts, type Measured, run, Server } from "../processes.ts";

export class Redis {
  readonly version: string;
  readonly #server: Server;
  readonly #port: number;

  private constructor(version: string, server: Server, port: number) {
    this.version = version;
    this.#server = server;
    this.#port = port;
  }

  /** Undefined where Redis is not installed (Debian: apt-get install redis-server). */
  static async start(folder: string): Promise<Redis | undefined> {
    const found = await run({ command: "redis-server", args: ["--version"] }).catch(() => undefined);
    if (found === undefined) return undefined;
    const [port] = await freePorts(1);
    const args = ["--port", String(port), "--dir", folder, "--appendonly", "yes", "--appendfsync", "always"];
    const server = new Server({ command: "redis-server", args: [...args, "--save", "", "--bind", "127.0.0.1"] });
    const cli = ["-p", String(port), "ping"];
    await server.ready("redis", async () => (await run({ command: "redis-cli", args: cli })).includes("PONG"));
    return new Redis(/v=(\S+)/.exec(found)?.[1] ?? "", server, port!);
  }

  async put(options: { clients: number; count: number }): Promise<Measured> {
    const args = ["-p", String(this.#port), "-t", "set", "-d", "256", "-r", "10000", "--csv"];
    args.push("-c", String(options.clients), "-n", String(options.count));
    const last = (await run({ command: "redis-benchmark", args })).trim().split("\n").at(-1) ?? "";
    // test, rps, avg, min, p50, p95, p99, max
    const fields = last.split(",").map((field) => Number(field.replaceAll('"', "")));
    return { rate: fields[1] ?? 0, p50Ms: fields[4] ?? 0, p99Ms: fields[6] ?? 0, count: options.count };
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}
