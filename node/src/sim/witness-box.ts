import { WitnessBatch } from "@nexus-federation/proto/raft.ts";
import type { PeerAddress, ServeHandler, Session } from "../transport/ports.ts";
import { RecordStore } from "../witness/records.ts";
import { serveWitness } from "../witness/serve.ts";
import { WitnessServer } from "../witness/server.ts";
import type { Life, ProcessClock } from "./life.ts";
import { Process } from "./process.ts";
import { WitnessWatch } from "./witness-watch.ts";

const recordsMax = 64;

/** The real witness over a simulated disk and network. */
export class WitnessBox extends Process {
  readonly watch = new WitnessWatch(this.name, () => this.world.triggers.happened("engage"));
  server: WitnessServer | undefined;

  get address(): PeerAddress {
    return { box: this.name, endpoint: `${this.name}:1`, incarnation: this.incarnation, services: ["witness"] };
  }

  protected async open(_clock: ProcessClock, life: Life): Promise<void> {
    const store = await RecordStore.open(this.disk, { recordsMax });
    if (!life.alive) return;
    this.watch.recovered(store);
    const flush = store.flush.bind(store);
    store.flush = () => {
      const durable = this.watch.writing();
      return flush().then(durable);
    };
    const server = new WitnessServer({
      store,
      newIncarnation: () => this.world.random.bytes(16),
      onFatal: (error) => this.failed(error),
      rules: this.watch.rules,
    });
    this.server = server;
    const serve = serveWitness(server);
    this.network?.onServe("witness", {
      ...serve,
      frame: (session, bytes) => this.#frame(serve, session, bytes),
    });
  }

  #frame(serve: ServeHandler, session: Session, bytes: Uint8Array): void {
    const { watch } = this;
    let standing: ReturnType<WitnessWatch["standing"]> | undefined;
    const reply = (message: Uint8Array) => {
      watch.tell(standing ?? watch.standing());
      return session.reply(message);
    };
    serve.frame({ remote: session.remote, reply }, bytes);
    standing = watch.standing();
    for (const { op, incarnation } of WitnessBatch.decode(bytes).requests) {
      if (op?.$case === "forget") watch.forgotten(incarnation);
    }
  }

  /** An empty disk under the same name: the process must be down. */
  loseRecords(): void {
    this.disk = this.newDisk();
    this.watch.wiped();
  }

  protected lose(): void {
    this.server = undefined;
  }
  protected replaceDisk(): void {
    this.watch.wiped();
  }
}
