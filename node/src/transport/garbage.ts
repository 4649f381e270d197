import { setFlagsFromString } from "node:v8";

/**
 * For programs that move content, before anything else. V8 starts a full collection for every 64 MiB of buffers that came
 * and went: a hundred of them while a file of 256 MiB passes. From here on buffers count like the heap, so the short-lived
 * ones go with the nursery. Only where V8 has the flag: another would say on stderr that it does not know it.
 */
export function countBuffersAsHeap(): void {
  if (process.versions.v8.startsWith("13.6.")) setFlagsFromString("--external-memory-accounted-in-global-limit");
}
