// A running process's CPU profile, taken through the inspector that SIGUSR1 opens.
import { sleep } from "./processes.ts";

const inspectorPort = 9229;
const samplingMicroseconds = 200;
/** The inspector is asked for so often, and so many times. */
const attemptMs = 50;
const attemptsMax = 100;
/** Time in which a closed inspector lets go of its port. */
const closingMs = 200;

export interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number }; children?: number[] }[];
  samples: number[];
  timeDeltas: number[];
}

/** A process whose inspector is open; one at a time, they share the port. */
export class Inspected {
  readonly #socket: WebSocket;
  #next = 1;
  readonly #waiting = new Map<number, (result: { profile?: Profile }) => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id: number; result: { profile?: Profile } };
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  static async open(pid: number): Promise<Inspected> {
    process.kill(pid, "SIGUSR1");
    for (let i = 0; i < attemptsMax; i++) {
      await sleep(attemptMs);
      const list = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`).catch(() => undefined);
      if (list === undefined) continue;
      const [target] = (await list.json()) as { webSocketDebuggerUrl: string }[];
      const socket = new WebSocket(target!.webSocketDebuggerUrl);
      await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
      return new Inspected(socket);
    }
    throw new Error(`process ${pid} opened no inspector`);
  }

  ask(method: string, params: object = {}): Promise<{ profile?: Profile }> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** What its main thread does for so long. */
  async profile(ms: number): Promise<Profile> {
    await this.ask("Profiler.enable");
    await this.ask("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
    await this.ask("Profiler.start");
    await sleep(ms);
    const { profile } = await this.ask("Profiler.stop");
    return profile!;
  }

  /** The next process may have the port. */
  async close(): Promise<void> {
    const expression = "process.getBuiltinModule('inspector').close()";
    void this.ask("Runtime.evaluate", { expression });
    await sleep(closingMs);
    this.#socket.close();
  }
}
