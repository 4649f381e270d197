// Results as JSON lines, one a scenario that came to its end: a run that was stopped goes on with those that have none.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { Finding } from "./scenario.ts";

export interface Result extends Finding {
  scenario: string;
  /** passed | failed | skipped (then `wrong` says why). */
  verdict: "passed" | "failed" | "skipped";
  /** Settings that it was run with; a result counts for the same ones only. */
  settings: { kills: number; minutes: number; seed: number; proxies?: boolean };
  /** ISO time of its end. */
  at: string;
  tookMs: number;
  /** Of the machine, over the last minute, before and after. */
  load: [number, number];
}

export class Results {
  readonly #file: string;
  constructor(file: string) {
    this.#file = file;
  }

  add(result: Result): void {
    appendFileSync(this.#file, `${JSON.stringify(result)}\n`);
  }

  /** The last one of this scenario with these settings that passed. */
  passed(scenario: string, settings: Result["settings"]): Result | undefined {
    return this.#all().findLast(
      (each) =>
        each.scenario === scenario &&
        each.verdict === "passed" &&
        JSON.stringify(each.settings) === JSON.stringify(settings),
    );
  }

  #all(): Result[] {
    if (!existsSync(this.#file)) return [];
    return readFileSync(this.#file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Result);
  }
}
