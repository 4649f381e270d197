// compose.yaml as a person with Docker uses it: up, write, lose a box, read, up once more, down.
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, inject, test } from "vitest";
import { ensureDebianPackages } from "../cluster/docker.ts";
import { must, run, until } from "../cluster/programs.ts";
import { redisImage } from "./harness/redis-image.ts";

const context = inject("cluster");
const root = resolve(import.meta.dirname, "../..");
const [firstPort, secondPort, redisPort] = [32_026, 33_026, 36_379];

/** The command that there is: the plugin of Docker's, or the program that Debian packs, which root may install. */
async function composeCommand(): Promise<string[] | undefined> {
  const found = async () => {
    for (const command of [["docker", "compose"], ["docker-compose"]])
      if ((await run([...command, "version"])).code === 0) return command;
    return undefined;
  };
  const there = await found();
  if (there !== undefined || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return there;
  await ensureDebianPackages([["/usr/bin/docker-compose", "docker-compose"]]).catch(() => undefined);
  return found();
}

const command = context === undefined ? undefined : await composeCommand();
const tag = context?.images.node.split(":").at(-1) ?? "";
const hasImage = context !== undefined && (await run(["docker", "image", "inspect", context.images.node])).code === 0;
if (command === undefined) console.warn("SKIPPED: compose.yaml needs docker compose (apt-get install docker-compose)");

describe.skipIf(command === undefined || !hasImage)("compose.yaml", () => {
  const folder = mkdtempSync(join(tmpdir(), "nexus-compose-"));
  const project = `nexus-${process.pid}`;
  const env: Record<string, string> = {
    NEXUS_TAG: tag,
    NEXUS_PORT_1: String(firstPort),
    NEXUS_PORT_2: String(secondPort),
    REDIS_PORT: String(redisPort),
  };
  const compose = (...args: string[]) =>
    must([...command!, "-p", project, "-f", join(folder, "compose.yaml"), ...args], { env });
  const nexus = (args: string[], input?: string) =>
    must([join(root, "nexus"), "--dir", join(folder, ".nexus/compose"), "--timeout", "30s", ...args], { input });
  const founded = async () => {
    const [id] = (await compose("ps", "-q", "bootstrap")).split("\n");
    const { stdout } = await run(["docker", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", id!]);
    if (/exited [^0]/.test(stdout)) throw new Error((await run(["docker", "logs", id!])).stderr.slice(-2_000));
    return stdout.trim() === "exited 0";
  };

  afterAll(async () => {
    await compose("--profile", "redis", "down", "-v", "-t", "5");
    rmSync(folder, { recursive: true, force: true });
  });

  test("two boxes and a witness are founded by the one-shot service and take a write", async () => {
    cpSync(join(root, "compose.yaml"), join(folder, "compose.yaml"));
    mkdirSync(join(folder, "examples"));
    cpSync(join(root, "examples/quickstart.yaml"), join(folder, "examples/quickstart.yaml"));

    await compose("up", "-d");
    await until("the end of the bootstrap service", founded, { withinMs: 300_000, everyMs: 500 });
    await nexus(["put", "/hello.txt", "-"], "hello");

    expect(await nexus(["get", "/hello.txt"])).toBe("hello");
  });

  test("the other box and the witness go on without the first, and nothing is lost when all come back", async () => {
    await compose("kill", "nexus-1");
    await nexus(["put", "/later.txt", "-"], "later");
    await compose("up", "-d");
    await until("the end of the bootstrap service", founded, { withinMs: 300_000, everyMs: 500 });

    expect([await nexus(["get", "/hello.txt"]), await nexus(["get", "/later.txt"])]).toEqual(["hello", "later"]);
  });

  test("its profile adds a Redis that answers; without it, nothing is missing", async () => {
    env["REDIS_IMAGE"] = await redisImage();

    await compose("--profile", "redis", "up", "-d", "redis");
    await until("a Redis that answers", async () => (await redis("PING").catch(() => "")) === "+PONG", {
      withinMs: 60_000,
    });
    expect(await redis("SET greeting hello")).toBe("+OK");
    expect(await redis("GET greeting")).toBe("$5");
    await compose("--profile", "redis", "stop", "redis");

    await nexus(["put", "/alone.txt", "-"], "alone");
    expect(await nexus(["get", "/alone.txt"])).toBe("alone");
  });

  /** First line of the answer to one command. */
  async function redis(command: string): Promise<string> {
    const socket = connect(redisPort, "127.0.0.1");
    try {
      socket.write(`${command}\r\n`);
      // Docker takes a connection for a container that does not listen yet, and closes it.
      const [answer] = (await Promise.race([once(socket, "data"), once(socket, "close")])) as [Buffer | boolean];
      return answer instanceof Buffer ? (answer.toString().split("\r\n")[0] ?? "") : "closed";
    } finally {
      socket.destroy();
    }
  }
});
