import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import { assert } from "../base/assert.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import { compareText } from "./order.ts";
import { joinPath, segmentsOf } from "./path.ts";
import { anySegment, type Pattern, type PatternSegment, parsePattern, takesFrom } from "./pattern.ts";

export interface RuleMatch {
  rule: ZoneRule;
  /** The path inside the zone. */
  zonePath: string;
}

/** A name below a listed directory that leads to other rules. */
export interface NameBelow {
  name: string;
  /** The rule that serves the name itself; undefined when rules lie only deeper and none covers the name. */
  rule: ZoneRule | undefined;
}

interface Bound {
  rule: ZoneRule;
  pattern: Pattern;
}

interface TrieNode {
  literals: Map<string, TrieNode> | undefined;
  any: TrieNode | undefined;
  bound: Bound | undefined;
}

/** A segment that no literal equals: stands for "any other name" when asking whether a rule can win at all. */
const otherName = "\u0000";

/**
 * Why the rules cannot stand together, or undefined: a bad pattern, or two rules that tie on some path (both named).
 * Detached rules bind nothing and are not looked at.
 */
export function rulesProblem(rules: readonly ZoneRule[]): Refusal | undefined {
  const seen = new Map<string, ZoneRule>();
  for (const rule of rules) {
    if (rule.state === "detached") continue;
    const pattern = parsePattern(rule.pattern);
    const details = { rule: rule.zone };
    if (isRefusal(pattern)) return { ...pattern, details, message: `zone ${rule.zone}: ${pattern.message}` };
    const other = seen.get(pattern.text);
    if (other) {
      return refuse(
        "INVALID",
        `pattern ${rule.pattern} of zone ${rule.zone} and pattern ${other.pattern} of zone ${other.zone} tie on every path they match; change one of them`,
        { details },
      );
    }
    seen.set(pattern.text, rule);
  }
  return undefined;
}

/** The rules must have no problem (rulesProblem). */
export function compileRules(rules: readonly ZoneRule[]): RuleTrie {
  return new RuleTrie(rules);
}

/** What a rule binds. */
export interface Bounds {
  /** In normal spelling. */
  pattern: string;
  /** Patterns of other rules that take paths away from it, in text order. */
  exclusions: string[];
}

/**
 * Of every zone that a rule binds; detached rules bind nothing. A thousand zones side by side are told in one pass: only
 * what begins with the same name can take from a pattern that begins with a name.
 */
export function boundsOf(rules: readonly ZoneRule[]): Map<string, Bounds> {
  const bound: Bound[] = [];
  const byName = new Map<PatternSegment | undefined, Bound[]>();
  for (const rule of rules) {
    if (rule.state === "detached" || rule.pattern === "") continue;
    const one = { rule, pattern: mustParse(rule.pattern) };
    bound.push(one);
    const name = one.pattern.segments[0];
    const alike = byName.get(name);
    if (alike === undefined) byName.set(name, [one]);
    else alike.push(one);
  }
  const out = new Map<string, Bounds>();
  for (const { rule, pattern } of bound) {
    const name = pattern.segments[0];
    const others = typeof name === "string" ? (byName.get(name) ?? []) : bound;
    const exclusions: string[] = [];
    for (const other of others) {
      if (other.rule.zone !== rule.zone && takesFrom(other.pattern, pattern)) exclusions.push(other.pattern.text);
    }
    if (!out.has(rule.zone)) out.set(rule.zone, { pattern: pattern.text, exclusions: exclusions.sort(compareText) });
  }
  return out;
}

/** The federation path of a zone path: the pattern's leading literals, then the zone path. */
export function federationPath(pattern: Pattern, zonePath: string): string {
  if (pattern.literals === 0) return zonePath;
  const head = `/${pattern.segments.slice(0, pattern.literals).join("/")}`;
  return zonePath.length === 1 ? head : head + zonePath;
}

export class RuleTrie {
  readonly #root: TrieNode = newNode();
  readonly rules: readonly ZoneRule[];

  constructor(rules: readonly ZoneRule[]) {
    this.rules = rules;
    for (const rule of rules) if (rule.state !== "detached") this.#add(rule);
  }

  #add(rule: ZoneRule): void {
    const pattern = mustParse(rule.pattern);
    let node = this.#root;
    for (const segment of pattern.segments) node = step(node, segment);
    assert(node.bound === undefined, `no two rules share the pattern ${pattern.text}`);
    node.bound = { rule, pattern };
  }

  /** The most specific rule for a normal federation path; undefined = NO_ZONE. */
  match(path: string): RuleMatch | undefined {
    const bound = find(this.#root, path, path.length === 1 ? path.length + 1 : 1);
    return bound && { rule: bound.rule, zonePath: zonePathOf(bound.pattern, path) };
  }

  /** Names directly below `path` through which other rules than the listed zone's own are reached, in name order. */
  childrenBelow(path: string): NameBelow[] {
    const segments = segmentsOf(path);
    const served = this.match(path)?.rule;
    const names = new Map<string, boolean>();
    for (const node of nodesAt(this.#root, segments)) {
      for (const [name, child] of node.literals ?? []) {
        if (names.get(name) !== true) names.set(name, this.#wins(child, [...segments, name], served));
      }
    }
    const out: NameBelow[] = [];
    for (const [name, wins] of names) if (wins) out.push({ name, rule: this.match(joinPath(path, name))?.rule });
    return out.sort((a, b) => compareText(a.name, b.name));
  }

  /** True when a rule in `node`'s subtree, other than `served`, is the answer for some path below `prefix`. */
  #wins(node: TrieNode, prefix: string[], served: ZoneRule | undefined): boolean {
    if (node.bound && node.bound.rule !== served && this.match(`/${prefix.join("/")}`)?.rule === node.bound.rule)
      return true;
    for (const [name, child] of node.literals ?? []) if (this.#wins(child, [...prefix, name], served)) return true;
    return node.any !== undefined && this.#wins(node.any, [...prefix, otherName], served);
  }
}

function newNode(): TrieNode {
  return { literals: undefined, any: undefined, bound: undefined };
}

function step(node: TrieNode, segment: PatternSegment): TrieNode {
  if (segment === anySegment) {
    node.any ??= newNode();
    return node.any;
  }
  node.literals ??= new Map();
  const child = node.literals.get(segment) ?? newNode();
  node.literals.set(segment, child);
  return child;
}

/** `start` is where the next segment of `path` begins; beyond the length when none is left. */
function find(node: TrieNode, path: string, start: number): Bound | undefined {
  if (start <= path.length && (node.literals || node.any)) {
    const slash = path.indexOf("/", start);
    const end = slash < 0 ? path.length : slash;
    const child = node.literals?.get(path.slice(start, end));
    const deeper = child && find(child, path, end + 1);
    if (deeper) return deeper;
    const other = node.any && find(node.any, path, end + 1);
    if (other) return other;
  }
  return node.bound;
}

function zonePathOf(pattern: Pattern, path: string): string {
  if (pattern.literals === 0) return path;
  let at = 0;
  for (let i = 0; i < pattern.literals; i++) at = path.indexOf("/", at + 1);
  return at < 0 ? "/" : path.slice(at);
}

/** Trie nodes that the segments lead to, through literals and `*`. */
function nodesAt(root: TrieNode, segments: readonly string[]): TrieNode[] {
  let nodes = [root];
  for (const segment of segments) {
    const next: TrieNode[] = [];
    for (const node of nodes) {
      const child = node.literals?.get(segment);
      if (child) next.push(child);
      if (node.any) next.push(node.any);
    }
    nodes = next;
  }
  return nodes;
}

function mustParse(text: string): Pattern {
  const pattern = parsePattern(text);
  assert(!isRefusal(pattern), `the pattern ${text} was checked before`);
  return pattern;
}
