// What disk and network give with nothing of ours in between.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../processes.ts";

export interface Floors {
  /** Puts a second through RocksDB, one or 64 a synced batch. */
  rocks1: number;
  rocks64: number;
  /** Bytes a second of a file that is written twice, as it is with two members on one disk; of one copy. */
  diskWrite: number;
  diskWriteOne: number;
  diskRead: number;
  /** Messages of 256 B echoed a second by an empty gRPC stream, 64 under way; bytes a second in large frames. */
  streamRate: number;
  streamBytes: number;
  /** Puts a second; undefined without Redis. */
  redis: number | undefined;
}

const seconds = "2";

export async function measureFloors(work: string, redis: number | undefined): Promise<Floors> {
  const folder = join(work, "floors");
  mkdirSync(folder, { recursive: true });
  const here = import.meta.dirname;
  const node = process.execPath;
  const store = JSON.parse(await run({ command: node, args: [join(here, "store.ts"), folder, seconds] }));
  const stream = JSON.parse(await run({ command: node, args: [join(here, "stream.ts"), "64", seconds] }));
  return {
    rocks1: store.rocks1,
    rocks64: store.rocks64,
    diskWrite: store.disk.write,
    diskWriteOne: store.disk.writeOne,
    diskRead: store.disk.read,
    streamRate: stream.rate,
    streamBytes: stream.bulk,
    redis,
  };
}
