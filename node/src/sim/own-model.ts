import type { Command } from "@nexus-federation/proto/command.ts";
import type { Applied } from "../machine/api.ts";
import { require } from "./violation.ts";

/** What a zone at the federation's root has ceded: nothing there may be changed through its log any more. */
export class OwnModel {
  readonly #log: number;
  #pattern = "";
  readonly #ceded = new Set<string>();

  constructor(log: number) {
    this.#log = log;
  }

  applied(index: number, { operation }: Command, { reply }: Applied, repeated: boolean): void {
    if (repeated || reply.result?.$case === "failure") return;
    const op = operation?.op;
    switch (op?.$case) {
      case "own":
        this.#pattern = op.value.pattern;
        this.#ceded.clear();
        for (const exclusion of op.value.exclusions) this.#ceded.add(exclusion);
        return;
      case "cede":
        this.#ceded.add(op.value.pattern);
        return;
      case "write":
      case "delete":
      case "acquire":
        this.#check(index, op.value.path);
        return;
      default:
        return;
    }
  }

  #check(index: number, path: string): void {
    if (this.#pattern !== "/**") return;
    for (const pattern of this.#ceded) {
      const below = path.startsWith(pattern.replace("**", ""));
      require(!below, () => `log ${this.#log} index ${index}: ${path} was changed, but ${pattern} was ceded`);
    }
  }
}
