/**
 * Explicit-state exploration: breadth first through every state that a model can reach, so that the first violation
 * found has a shortest trace. Random testing is not enough for the witness rule, whose failures need a dozen steps in
 * one order; so states are few bytes, kept once and compared exactly (no hash compaction, which could hide a state).
 * A trace is not stored but found again from the parents' keys.
 */

import { assert } from "../../base/assert.ts";

/** A step relation over states `S`, with bounds that make it finite. */
export interface Model<S> {
  start(): S;
  /** Writes the canonical key of a state and returns its length; equal keys mean equivalent states. */
  encode(state: S, out: Uint8Array): number;
  /** A state equivalent to the one encoded. */
  decode(key: Uint8Array): S;
  /** Hands every successor to `emit`, as fresh objects; `fault` is a violation of the step itself. */
  successors(state: S, emit: (next: S, label: string, fault?: string) => void): void;
  /** The invariant that the state violates, if any. */
  violation(state: S): string | undefined;
  show(state: S): string;
}

export interface Exploration {
  readonly states: number;
  readonly steps: number;
  /** The bounds of the model were exhausted, or a violation ended the search; false when `statesMax` did. */
  readonly exhausted: boolean;
  readonly violation: string | undefined;
  /** The steps to the violation, one a line. */
  readonly trace: string;
}

/** Longest key of a model. */
export const KEY_BYTES_MAX = 1024;

/** Distinct byte strings, numbered in order of arrival, each with the number of the one it was reached from. */
export class StateSet {
  size = 0;
  private bytes = new Uint8Array(1 << 20);
  private offsets = new Uint32Array(1 << 14);
  private parents = new Uint32Array(1 << 14);
  /** Open addressing, number + 1; at most half full. */
  private table = new Uint32Array(1 << 16);

  /** Returns whether the key is new. */
  add(key: Uint8Array, length: number, parent: number): boolean {
    if ((this.size + 1) * 2 > this.table.length) this.rehash();
    const slot = this.find(key, length);
    if (this.table[slot] !== 0) return false;
    const at = this.offsets[this.size]!;
    assert(at + length < 2 ** 32, "the keys of all states fit 4 GiB; choose smaller bounds");
    if (at + length > this.bytes.length) this.bytes = grown(this.bytes, Math.max(2, (at + length) / this.bytes.length));
    if (this.size + 2 > this.offsets.length) {
      this.offsets = grown(this.offsets, 2);
      this.parents = grown(this.parents, 2);
    }
    for (let i = 0; i < length; i++) this.bytes[at + i] = key[i]!;
    this.offsets[this.size + 1] = at + length;
    this.parents[this.size] = parent;
    this.size++;
    this.table[slot] = this.size;
    return true;
  }

  key(number: number): Uint8Array {
    return this.bytes.subarray(this.offsets[number]!, this.offsets[number + 1]!);
  }

  parent(number: number): number {
    return this.parents[number]!;
  }

  private find(key: Uint8Array, length: number): number {
    const mask = this.table.length - 1;
    let slot = hash(key, 0, length) & mask;
    for (;;) {
      const number = this.table[slot]!;
      if (number === 0 || this.same(number - 1, key, length)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private same(number: number, key: Uint8Array, length: number): boolean {
    const at = this.offsets[number]!;
    if (this.offsets[number + 1]! - at !== length) return false;
    for (let i = 0; i < length; i++) if (this.bytes[at + i] !== key[i]) return false;
    return true;
  }

  private rehash(): void {
    this.table = new Uint32Array(this.table.length * 2);
    const mask = this.table.length - 1;
    for (let number = 0; number < this.size; number++) {
      const at = this.offsets[number]!;
      let slot = hash(this.bytes, at, this.offsets[number + 1]! - at) & mask;
      while (this.table[slot] !== 0) slot = (slot + 1) & mask;
      this.table[slot] = number + 1;
    }
  }
}

function grown<A extends Uint8Array | Uint32Array>(old: A, factor: number): A {
  const next = new (old.constructor as new (length: number) => A)(Math.ceil(old.length * factor));
  next.set(old);
  return next;
}

function hash(bytes: Uint8Array, at: number, length: number): number {
  let h = 0x811c9dc5;
  for (let i = at; i < at + length; i++) {
    h = Math.imul(h ^ bytes[i]!, 0x01000193);
    h ^= h >>> 15;
  }
  h = Math.imul(h ^ (h >>> 13), 0x5bd1e995);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Explores from `model.start()`; `visit` sees each distinct state once. */
export function explore<S>(model: Model<S>, statesMax: number, visit?: (state: S) => void): Exploration {
  const set = new StateSet();
  const key = new Uint8Array(KEY_BYTES_MAX);
  const start = model.start();
  set.add(key, model.encode(start, key), 0);
  let steps = 0;
  let current = 0;
  let violation: string | undefined;
  let trace = "";
  const emit = (next: S, label: string, fault?: string): void => {
    if (violation !== undefined) return;
    steps++;
    const length = model.encode(next, key);
    const isNew = set.add(key, length, current);
    violation = fault ?? (isNew ? model.violation(next) : undefined);
    if (violation !== undefined) trace = retrace(model, set, { at: current, key: key.slice(0, length), label });
  };
  for (; current < set.size && violation === undefined; current++) {
    if (set.size > statesMax) return { states: set.size, steps, exhausted: false, violation, trace };
    const state = model.decode(set.key(current));
    visit?.(state);
    model.successors(state, emit);
  }
  return { states: set.size, steps, exhausted: true, violation, trace };
}

interface LastStep {
  /** Number of the state it starts from. */
  readonly at: number;
  readonly key: Uint8Array;
  readonly label: string;
}

/** Walks the chain of keys up to the last step again, from the start state, to name the steps. */
function retrace<S>(model: Model<S>, set: StateSet, last: LastStep): string {
  const keys = [last.key];
  for (let number = last.at; number !== 0; number = set.parent(number)) keys.push(set.key(number));
  let state = model.start();
  const lines = [`start  => ${model.show(state)}`];
  const key = new Uint8Array(KEY_BYTES_MAX);
  for (const wanted of keys.reverse()) {
    let found: S | undefined;
    model.successors(state, (next, label) => {
      if (found !== undefined) return;
      const length = model.encode(next, key);
      if (length !== wanted.length || !wanted.every((byte, i) => byte === key[i])) return;
      found = next;
      lines.push(`${label}  => ${model.show(next)}`);
    });
    if (found === undefined) return `${lines.join("\n")}\n(trace lost before "${last.label}")`;
    state = found;
  }
  return lines.join("\n");
}

/** The state after the steps named, for searches directed to a neighbourhood; throws when a step is not possible. */
export function follow<S>(model: Model<S>, labels: readonly string[]): S {
  let state = model.start();
  for (const wanted of labels) {
    let found: S | undefined;
    const possible: string[] = [];
    model.successors(state, (next, label) => {
      possible.push(label);
      if (label === wanted) found ??= next;
    });
    if (found === undefined) {
      throw new Error(`step "${wanted}" is not possible in ${model.show(state)}; possible: ${possible.join(", ")}`);
    }
    state = found;
  }
  return state;
}
