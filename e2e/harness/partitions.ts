/** A network that can be cut: namespaces where root (network.ts), proxies where not (proxies.ts). */
export interface Partitions {
  /** Where the box is to run; made on first use. The command becomes what follows it, as the same process. */
  place(box: string): { host: string; command: string[] };
  /** Between the last place and the start of the boxes; `portsFile` is where their ports are kept. */
  ready(portsFile: string): Promise<void>;
  /** All boxes that have a place, and the outside. */
  everyoneBut(name: string): string[];
  /** What `from` sends to `to` does not arrive from now on. */
  cut(from: string, to: string): void;
  /** Both directions between each of `some` and each of `others`. */
  split(some: readonly string[], others: readonly string[]): void;
  heal(): void;
  close(): void;
}

/** This process and whatever it starts without a place: clients and the supervisor. */
export const outside = "outside";
