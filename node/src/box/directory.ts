import type { BoxRecord, RuleMap, ZoneRule } from "@nexus-federation/proto/records.ts";
import { HelloReply } from "@nexus-federation/proto/request.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { type Pattern, parsePattern } from "../tree/pattern.ts";
import { compileRules, type RuleMatch, type RuleTrie, rulesProblem } from "../tree/rules.ts";
import type { Places } from "../zones/ports.ts";
import type { MapFile } from "./ports.ts";

/** State of the rule that stands for a zone which a restore still fills: clients do not see it. */
export const restoringState = "restoring";

export interface DirectoryState {
  /** Index in the system log of the last change of rules, members or boxes. */
  revision: number;
  map: RuleMap;
  boxes: BoxRecord[];
}

/**
 * The federation as this box knows it: rules, the boxes behind them, and the trie that routes. It only moves forward
 * (by revision), and it survives the loss of the system zone and a restart, because a copy lies on disk.
 */
export class Directory implements Places {
  #map: RuleMap = { epoch: 0, rules: [] };
  #revision = 0;
  #trie: RuleTrie = compileRules([]);
  readonly #zones = new Map<string, ZoneRule>();
  readonly #patterns = new Map<string, Pattern>();
  readonly #boxes = new Map<string, BoxRecord>();
  readonly #listeners: (() => void)[] = [];
  readonly #file: MapFile;

  constructor(file: MapFile) {
    this.#file = file;
    const bytes = file.load();
    if (bytes === undefined) return;
    const kept = HelloReply.decode(bytes);
    if (kept.map) this.#use({ revision: kept.revision, map: kept.map, boxes: kept.boxes });
  }

  get epoch(): number {
    return this.#map.epoch;
  }
  get revision(): number {
    return this.#revision;
  }
  get map(): RuleMap {
    return this.#map;
  }
  get boxes(): BoxRecord[] {
    return [...this.#boxes.values()];
  }
  get trie(): RuleTrie {
    return this.#trie;
  }

  /** Called after every change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** True when it was newer and is now in force. A map whose rules cannot stand together is refused. */
  install(state: DirectoryState): boolean | Refusal {
    if (state.revision <= this.#revision) return false;
    const problem = rulesProblem(state.map.rules.filter((rule) => rule.pattern !== ""));
    if (problem !== undefined) return problem;
    this.#use(state);
    const bytes = HelloReply.encode({
      box: "",
      federation: "",
      epoch: this.#map.epoch,
      logTimeMs: 0,
      region: "",
      map: this.#map,
      boxes: state.boxes,
      revision: state.revision,
    }).finish();
    this.#file.save(bytes);
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** The rule for a normal federation path. */
  match(path: string): RuleMatch | undefined {
    return this.#trie.match(path);
  }
  /** NO_ZONE when no map that is known here has it. */
  zone(name: string): ZoneRule | Refusal {
    return this.#zones.get(name) ?? refuse("NO_ZONE", `no zone ${name} is known in rule map ${this.#map.epoch}`);
  }
  /** Undefined for zones that are reached by name only. */
  patternOf(zone: string): Pattern | undefined {
    return this.#patterns.get(zone);
  }
  box(name: string): BoxRecord | undefined {
    return this.#boxes.get(name);
  }
  regionOf(box: string): string {
    return this.#boxes.get(box)?.region ?? "";
  }

  #use({ revision, map, boxes }: DirectoryState): void {
    this.#revision = revision;
    this.#map = map;
    this.#trie = compileRules(map.rules.filter((rule) => rule.pattern !== "" && rule.state !== "detached"));
    this.#zones.clear();
    this.#patterns.clear();
    this.#boxes.clear();
    for (const rule of map.rules) {
      this.#zones.set(rule.zone, rule);
      const pattern = rule.pattern === "" ? undefined : parsePattern(rule.pattern);
      if (pattern !== undefined && !isRefusal(pattern)) this.#patterns.set(rule.zone, pattern);
    }
    for (const box of boxes) this.#boxes.set(box.name, box);
  }
}
