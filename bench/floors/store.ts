// Floors on the same disk: RocksDB batches with fsync, and bytes of a file written and read as fast as the disk allows.
// node bench/floors/store.ts FOLDER SECONDS; one JSON line.
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { RocksLevel } from "@nxtedition/rocksdb";

const [folder = ".", seconds = "2"] = process.argv.slice(2);
const fileBytes = 256 * 1024 * 1024;
const partBytes = 1024 * 1024;

/** Puts a second when each batch of `size` puts is one synced write. */
async function rocks(size: number): Promise<number> {
  const db = new RocksLevel(join(folder, `rocks-${size}`), { keyEncoding: "buffer", valueEncoding: "buffer" });
  await db.open();
  const value = Buffer.alloc(256, "x");
  const end = performance.now() + Number(seconds) * 1000;
  const start = performance.now();
  let count = 0;
  while (performance.now() < end) {
    const batch = db._chainedBatch();
    for (let i = 0; i < size; i++) batch._put(Buffer.from(`/bench/${i}/${count % 100}`), value);
    batch._writeSync({ sync: true });
    batch._closeSync();
    count += size;
  }
  const rate = (count / (performance.now() - start)) * 1000;
  await db.close();
  return rate;
}

/**
 * Bytes a second: of a file whose two copies are written beside each other, each with one fsync at the end, since both
 * members keep theirs on this disk; of one copy written alone; and read back.
 */
function file(): { write: number; writeOne: number; read: number } {
  const part = Buffer.alloc(partBytes, 7);
  const writeOne = written(["floor.bin"], part);
  const write = written(["floor-1.bin", "floor-2.bin"], part);
  const fd = openSync(join(folder, "floor.bin"), "r");
  const began = performance.now();
  for (let at = 0; at < fileBytes; at += partBytes) readSync(fd, part);
  const read = rateSince(began);
  closeSync(fd);
  return { write, writeOne, read };
}

function written(names: string[], part: Buffer): number {
  const copies = names.map((name) => openSync(join(folder, name), "w"));
  const began = performance.now();
  for (let at = 0; at < fileBytes; at += partBytes) for (const fd of copies) writeSync(fd, part);
  for (const fd of copies) fsyncSync(fd);
  const rate = rateSince(began);
  for (const fd of copies) closeSync(fd);
  return rate;
}

function rateSince(began: number): number {
  return (fileBytes / (performance.now() - began)) * 1000;
}

const disk = file();
process.stdout.write(`${JSON.stringify({ rocks1: await rocks(1), rocks64: await rocks(64), disk })}\n`);
