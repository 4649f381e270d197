/** How Node runs a program: its flags and the environment they go with. */
export interface NodeOptions {
  flags: readonly string[];
  environment: Readonly<Record<string, string>>;
}

/** Here once: local processes read them, and `npm run gen` writes them into the Dockerfiles. */
export const nodeOptions = {
  data: {
    // Messages under way are young when they die: a small nursery copies them instead.
    flags: ["--max-semi-space-size=32"],
    // A hung disk holds the threads that write to it; the rest still serve names, chunks and certificates.
    environment: { UV_THREADPOOL_SIZE: "8" },
  },
  // A witness must run within 64 MiB: small heaps, no JIT threads, one arena.
  witness: {
    flags: [
      "--max-semi-space-size=1",
      "--max-old-space-size=24",
      "--v8-pool-size=0",
      "--lite-mode",
      "--single-threaded",
    ],
    environment: { UV_THREADPOOL_SIZE: "1", MALLOC_ARENA_MAX: "1" },
  },
  operator: { flags: [], environment: {} },
} as const satisfies Record<string, NodeOptions>;
