// Port of the segment log: a flat folder of files. The simulator implements it too, so no time, no paths, no streams.

export interface Disk {
  /** Names of all files, in any order. */
  list(): Promise<string[]>;
  /**
   * Opens an existing file, or with `createBytes` makes one of exactly that many zero bytes that replaces any file of
   * the name; its name and size are durable when this resolves. So is what an existing file holds, also what a process
   * that was killed had not yet synced: what a start has read must not vanish at a later power cut. NOT_FOUND when
   * absent; DISK_FULL leaves no file behind (after a crash a shorter one may be there).
   */
  open(name: string, options?: { createBytes?: number }): Promise<DiskFile>;
  /** Durable when resolved. An absent file is no error. */
  remove(name: string): Promise<void>;
  /** Bytes that can still be allocated. */
  freeBytes(): Promise<number>;
}

export interface DiskFile {
  readonly sizeBytes: number;
  /** The bytes from `offset`, fewer at the end of the file. The caller owns them. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Writes within the file's size; durable when resolved. `bytes` must not change before that. A crash before it
   * resolves may leave any part of it written. After a rejection the range is undefined until written again.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Opens a file for as long as `work` takes, however it ends. */
export async function withFile<T>(disk: Disk, name: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
  const file = await disk.open(name);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}
