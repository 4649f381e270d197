// Partitions without root: a TCP proxy in front of every box. Why not network namespaces: they need root. The sketch: all of
// 127.0.0.0/8 is this machine's, so each box has two addresses of it: one that others are told, where the proxy listens,
// and one of its own, from which it listens and speaks (own-address.mjs). The proxy knows who connects by that address and
// to whom by the one that it was reached at. What is cut is not read any more: it waits, and arrives when the cut heals,
// as TCP repeats what a network lost; connections in use outlive a short cut. Where it differs from lost packets: a
// connection that is opened over a cut is taken by the proxy and answers nothing.
import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { pathToFileURL } from "node:url";
import { outside, type Partitions } from "./partitions.ts";

const preload = pathToFileURL(`${import.meta.dirname}/own-address.mjs`).href;
const [shownNet, ownNet] = ["127.77", "127.78"];
let opened = 0;

interface Word {
  dueMs: number;
  what: () => void;
}

/** One direction of one connection. */
interface Pipe {
  from: string;
  to: string;
  source: Socket;
  /** Its reader is behind. */
  full: boolean;
  /** What waits for its time, in order. */
  late: Word[];
}

interface Waiting {
  from: string;
  to: string;
  open: () => void;
}

export class Proxies implements Partitions {
  /** Tells apart what runs on this machine at the same time. */
  readonly #subnet = ((process.pid + opened++) % 250) + 1;
  readonly #boxes: string[] = [];
  readonly #cuts = new Set<string>();
  /** Time that words take longer, ms. */
  readonly #delays = new Map<string, number>();
  readonly #pipes = new Set<Pipe>();
  readonly #sockets = new Set<Socket>();
  #waiting: Waiting[] = [];
  readonly #servers: Server[] = [];

  /** The reason, as a sentence, when this machine has no addresses for them. */
  static open(): Proxies | string {
    return process.platform === "linux" ? new Proxies() : "proxies for partitions need Linux's loopback addresses";
  }

  place(box: string): { host: string; command: string[] } {
    if (!this.#boxes.includes(box)) this.#boxes.push(box);
    const host = this.#address(shownNet, box);
    const environment = [`NODE_OPTIONS=--import=${preload}`, `NEXUS_TEST_SHOWN=${host}`];
    return { host, command: ["env", ...environment, `NEXUS_TEST_OWN=${this.#address(ownNet, box)}`] };
  }

  async ready(portsFile: string): Promise<void> {
    const ports: Record<string, { peer: number; client: number }> = {};
    for (const box of this.#boxes) ports[box] = { peer: await this.#listen(box), client: await this.#listen(box) };
    writeFileSync(portsFile, JSON.stringify(ports), { mode: 0o600 });
  }

  everyoneBut(name: string): string[] {
    return [outside, ...this.#boxes].filter((each) => each !== name);
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    for (const pipe of this.#pipes) this.#flow(pipe);
  }

  split(some: readonly string[], others: readonly string[]): void {
    for (const one of some) {
      for (const other of others) {
        this.cut(one, other);
        this.cut(other, one);
      }
    }
  }

  /** What `from` says to `to` arrives so much later from now on. */
  delay(from: string, to: string, delayMs: number): void {
    this.#delays.set(`${from} ${to}`, delayMs);
  }

  heal(): void {
    this.#delays.clear();
    this.#cuts.clear();
    for (const pipe of this.#pipes) this.#flow(pipe);
    for (const { open } of this.#waiting.splice(0)) open();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #address(net: string, box: string): string {
    return `${net}.${this.#subnet}.${this.#boxes.indexOf(box) + 1}`;
  }

  /** The port, on the address that others are told; the box takes the same one on its own. */
  #listen(to: string): Promise<number> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (taken) => {
      const { port } = server.address() as AddressInfo;
      const speaker = this.#boxes.find((box) => this.#address(ownNet, box) === taken.remoteAddress);
      this.#take(taken, { from: speaker ?? outside, to, port });
    });
    this.#servers.push(server);
    server.unref();
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, this.#address(shownNet, to), () => resolve((server.address() as AddressInfo).port));
    });
  }

  #take(taken: Socket, { from, to, port }: { from: string; to: string; port: number }): void {
    this.#keep(taken);
    const open = () => {
      const made = connect({ host: this.#address(ownNet, to), port, allowHalfOpen: true });
      this.#keep(made);
      this.#pipe({ from, to, source: taken, full: false, late: [] }, made);
      this.#pipe({ from: to, to: from, source: made, full: false, late: [] }, taken);
    };
    if (this.#isCut(from, to)) this.#waiting.push({ from, to, open });
    else open();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }

  #pipe(pipe: Pipe, target: Socket): void {
    const { source } = pipe;
    this.#pipes.add(pipe);
    source.on("data", (bytes: Buffer) => {
      this.#later(pipe, () => {
        if (target.destroyed) return;
        pipe.full = !target.write(bytes);
        if (pipe.full) this.#flow(pipe);
      });
    });
    target.on("drain", () => {
      pipe.full = false;
      this.#flow(pipe);
    });
    source.on("end", () => this.#later(pipe, () => target.end()));
    source.on("close", () => {
      this.#pipes.delete(pipe);
      this.#later(pipe, () => target.destroySoon());
    });
    this.#flow(pipe);
  }

  /** In the order in which it was asked for, also when a delay ends. */
  #later({ from, to, late }: Pipe, what: () => void): void {
    const delayMs = this.#delays.get(`${from} ${to}`) ?? 0;
    if (late.length === 0 && delayMs === 0) return what();
    late.push({ dueMs: performance.now() + delayMs, what });
    if (late.length === 1) setTimeout(() => sayDue(late), delayMs);
  }

  /** Reads on, or not: what is not read waits in the kernel. */
  #flow({ from, to, source, full }: Pipe): void {
    if (full || this.#isCut(from, to)) source.pause();
    else source.resume();
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from} ${to}`);
  }
}

function sayDue(late: Word[]): void {
  while (late[0] !== undefined && late[0].dueMs <= performance.now()) late.shift()!.what();
  const next = late[0];
  if (next !== undefined) setTimeout(() => sayDue(late), Math.max(1, next.dueMs - performance.now()));
}
