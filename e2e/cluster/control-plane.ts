// A Kubernetes API without nodes, as plain processes on loopback: etcd, kube-apiserver and, when asked, the controller
// manager. A fake API server agrees with whoever wrote it; a whole cluster needs root and Docker. This needs neither and
// starts in seconds, so suites of the operator's runtime and schemas run against the real thing everywhere.
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Binaries, binaries } from "./binaries.ts";
import { until } from "./programs.ts";

export interface ControlPlaneOptions {
  /** Folder of data, certificates, logs and kubeconfigs; made when absent. */
  dir: string;
  /** Runs the controller manager too: garbage collection, namespaces, StatefulSets (whose pods no node will start). */
  controllerManager?: boolean;
  /** Added to the API server's command line. */
  apiserverFlags?: readonly string[];
}

export interface ControlPlane {
  /** File of a cluster administrator. */
  kubeconfig: string;
  apiserverUrl: string;
  /** PEM of the authority that signed the API server's certificate. */
  ca: string;
  /** Bearer token of the administrator (group system:masters). */
  token: string;
  /** File of a user of this name without any rights but those that RBAC gives it. Names: alice, bob, carol. */
  kubeconfigOf(user: string): string;
  pids: { etcd: number; apiserver: number; controllerManager: number | undefined };
  binaries: Binaries;
  /** Kills the API server (SIGKILL unless told), starts it on the same port and waits until it is ready. */
  restartApiserver(signal?: NodeJS.Signals): Promise<void>;
  restartEtcd(signal?: NodeJS.Signals): Promise<void>;
  /** Idempotent; at most a few seconds. */
  stop(): Promise<void>;
}

const adminToken = "nexus-e2e-admin";
const controllerToken = "nexus-e2e-controllers";
const users = ["alice", "bob", "carol"];
const readyWithinMs = 120_000;

/** Starts everything and answers once the API server says it is ready. All of it dies with this process. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const programs = await binaries(["etcd", "kube"]);
  mkdirSync(options.dir, { recursive: true });
  const [etcdPort, etcdPeerPort, port] = (await freePorts(3)) as [number, number, number];
  writeKeysAndTokens(options.dir);
  const url = `https://127.0.0.1:${port}`;
  const parts = partsOf(options, programs, { etcd: etcdPort, etcdPeer: etcdPeerPort, apiserver: port });
  const ready = () =>
    until("the API server's readiness", async () => isReady(url, options.dir), {
      withinMs: readyWithinMs,
      everyMs: 100,
      why: () => parts.apiserver.lastWords(),
    });
  const stop = async () => {
    for (const part of [parts.controllers, parts.apiserver, parts.etcd]) await part.stop("SIGKILL");
  };
  try {
    parts.etcd.start();
    parts.apiserver.start();
    await ready();
    const ca = readFileSync(join(options.dir, "apiserver.crt"), "utf8");
    for (const [name, token] of credentials()) writeKubeconfig(options.dir, name, { url, ca, token });
    if (options.controllerManager) parts.controllers.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kubeconfig: kubeconfigPath(options.dir, "admin"),
    apiserverUrl: url,
    ca: readFileSync(join(options.dir, "apiserver.crt"), "utf8"),
    token: adminToken,
    kubeconfigOf: (user) => kubeconfigPath(options.dir, user),
    get pids() {
      return { etcd: parts.etcd.pid!, apiserver: parts.apiserver.pid!, controllerManager: parts.controllers.pid };
    },
    binaries: programs,
    async restartApiserver(signal = "SIGKILL") {
      await parts.apiserver.stop(signal);
      parts.apiserver.start();
      await ready();
    },
    async restartEtcd(signal = "SIGKILL") {
      await parts.etcd.stop(signal);
      parts.etcd.start();
      await ready();
    },
    stop,
  };
}

function partsOf(
  { dir, apiserverFlags: more = [] }: ControlPlaneOptions,
  { etcd, apiserver, controllerManager }: Binaries,
  ports: { etcd: number; etcdPeer: number; apiserver: number },
) {
  const flags = [...apiserverFlags(dir, ports.apiserver, ports.etcd), ...more];
  return {
    etcd: new Part(dir, "etcd", [etcd, ...etcdFlags(dir, ports.etcd, ports.etcdPeer)]),
    apiserver: new Part(dir, "kube-apiserver", [apiserver, ...flags]),
    controllers: new Part(dir, "kube-controller-manager", [controllerManager, ...controllerFlags(dir)]),
  };
}

/** A part that ends by itself, as the controller manager does when the API server is away, is started again then. */
const againMs = 500;

/** One process whose output goes to `<dir>/<name>.log`. */
class Part {
  readonly #dir: string;
  readonly #name: string;
  readonly #command: string[];
  #child: ChildProcess | undefined;

  constructor(dir: string, name: string, command: string[]) {
    this.#dir = dir;
    this.#name = name;
    this.#command = dyingWithParent(command);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const log = openSync(this.#log, "a");
    const child = spawn(this.#command[0]!, this.#command.slice(1), { cwd: this.#dir, stdio: ["ignore", log, log] });
    this.#child = child;
    child.on("error", () => undefined);
    child.on("exit", () => setTimeout(() => this.#child === child && this.start(), againMs).unref());
    closeSync(log);
  }

  /** Sends the signal, and SIGKILL to one that has not ended after five seconds. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    const hard = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(hard);
  }

  lastWords(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, "utf8").slice(-1_500) : "it printed nothing";
  }

  get #log(): string {
    return join(this.#dir, `${this.#name}.log`);
  }
}

/** A suite that is killed must not leave servers behind: the kernel kills them with the one who started them. */
function dyingWithParent(command: string[]): string[] {
  const helper = "/usr/bin/setpriv";
  return existsSync(helper) ? [helper, "--pdeathsig", "KILL", ...command] : command;
}

function etcdFlags(dir: string, port: number, peerPort: number): string[] {
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  return [
    `--data-dir=${join(dir, "etcd")}`,
    "--unsafe-no-fsync",
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--log-level=warn",
  ];
}

function apiserverFlags(dir: string, port: number, etcdPort: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${dir}`,
    `--token-auth-file=${join(dir, "tokens.csv")}`,
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.96.0.0/24",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${join(dir, "sa.pub")}`,
    `--service-account-signing-key-file=${join(dir, "sa.key")}`,
    "--authorization-mode=RBAC",
    "--allow-privileged",
  ];
}

function controllerFlags(dir: string): string[] {
  return [
    `--kubeconfig=${kubeconfigPath(dir, "controllers")}`,
    `--authentication-kubeconfig=${kubeconfigPath(dir, "controllers")}`,
    `--authorization-kubeconfig=${kubeconfigPath(dir, "controllers")}`,
    "--secure-port=0",
    "--leader-elect=false",
    "--use-service-account-credentials",
    `--root-ca-file=${join(dir, "apiserver.crt")}`,
    `--service-account-private-key-file=${join(dir, "sa.key")}`,
  ];
}

function writeKeysAndTokens(dir: string): void {
  const keys = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  writeFileSync(join(dir, "sa.key"), keys.privateKey, { mode: 0o600 });
  writeFileSync(join(dir, "sa.pub"), keys.publicKey);
  const rows = [
    `${adminToken},admin,admin,"system:masters"`,
    `${controllerToken},system:kube-controller-manager,controllers`,
    ...users.map((user) => `nexus-e2e-${user},${user},${user}`),
  ];
  writeFileSync(join(dir, "tokens.csv"), `${rows.join("\n")}\n`, { mode: 0o600 });
}

function credentials(): [name: string, token: string][] {
  return [
    ["admin", adminToken],
    ["controllers", controllerToken],
    ...users.map((user): [string, string] => [user, `nexus-e2e-${user}`]),
  ];
}

function kubeconfigPath(dir: string, name: string): string {
  return join(dir, `${name}.kubeconfig`);
}

function writeKubeconfig(dir: string, name: string, to: { url: string; ca: string; token: string }): void {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "here",
        cluster: { server: to.url, "certificate-authority-data": Buffer.from(to.ca).toString("base64") },
      },
    ],
    users: [{ name, user: { token: to.token } }],
    contexts: [{ name: "here", context: { cluster: "here", user: name } }],
    "current-context": "here",
  };
  writeFileSync(kubeconfigPath(dir, name), `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

async function isReady(url: string, dir: string): Promise<boolean> {
  const certificate = join(dir, "apiserver.crt");
  if (!existsSync(certificate)) return false;
  const ca = readFileSync(certificate);
  // Readiness looks at etcd now and then only; a read asks it now.
  return (await answersOk(`${url}/readyz`, ca)) && (await answersOk(`${url}/api/v1/namespaces/default`, ca));
}

function answersOk(url: string, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const options = {
      ca,
      headers: { authorization: `Bearer ${adminToken}` },
      agent: false,
      timeout: 5_000,
    } as const;
    const asked = request(url, options, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(false));
    asked.end();
  });
}

/** Ports of loopback that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
