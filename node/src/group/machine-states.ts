import type { Command } from "@nexus-federation/proto/command.ts";
import { must } from "../base/assert.ts";
import type { Applied, HeldLock, LogEntry } from "../machine/api.ts";
import { Machine } from "../machine/machine.ts";
import { SnapshotFiller, snapshot } from "../machine/snapshot.ts";
import type { BoxDatabase, StateChange } from "../storage/database.ts";
import type { StateId } from "../storage/keys.ts";
import { systemLog } from "../tree/system-zone.ts";
import type { ReplicaState, StatePosition, StateRestore, StateSnapshot, States } from "./ports.ts";
import { WireReader, WireWriter } from "./wire-bytes.ts";

/** What the reader of a log's state needs besides the host: the machine itself, for reads. */
export interface MachineOwner {
  machine(log: number): Machine | undefined;
  freeze(log: number): FrozenMachine | undefined;
}

/** A machine over the state of one moment: it is read, nothing is applied to it. */
export interface FrozenMachine {
  machine: Machine;
  close(): void;
}

/** Machines over the box's database, one a log; what a turn applied to all of them is one batch. */
export class MachineStates implements States, MachineOwner {
  readonly database: BoxDatabase;
  readonly #states = new Map<number, MachineState>();
  readonly #changed = new Set<MachineState>();

  constructor(database: BoxDatabase) {
    this.database = database;
  }

  open(log: number, generation: number, storedAs: number = generation): ReplicaState {
    const former = this.#states.get(log);
    if (former !== undefined) this.discard(former);
    const state = new MachineState(this, { log, generation, storedAs });
    this.#states.set(log, state);
    return state;
  }

  drop(log: number, storedAs: number): void {
    this.database.drop(log, storedAs);
  }

  machine(log: number): Machine | undefined {
    return this.#states.get(log)?.machine;
  }

  /** The log's state as of now, for reads spread over time; to be closed. Undefined when there is none here. */
  freeze(log: number): FrozenMachine | undefined {
    const state = this.#states.get(log);
    if (state === undefined) return undefined;
    this.commit();
    return state.freeze();
  }

  changed(state: MachineState): void {
    this.#changed.add(state);
  }

  /** What was not yet committed of a state is given up: it is replaced or gone. */
  discard(state: MachineState): void {
    this.#changed.delete(state);
  }

  forget(state: MachineState, log: number): void {
    this.discard(state);
    if (this.#states.get(log) === state) this.#states.delete(log);
  }

  commit(): void {
    if (this.#changed.size === 0) return;
    const changes: StateChange[] = [];
    for (const state of this.#changed) changes.push(state.drained());
    this.#changed.clear();
    this.database.commit(changes);
  }
}

class MachineState implements ReplicaState {
  position: StatePosition | undefined;
  machine: Machine;
  readonly #all: MachineStates;
  readonly #log: number;
  readonly #generation: number;
  readonly #storedAs: number;
  #id: StateId;

  constructor(
    all: MachineStates,
    { log, generation, storedAs }: { log: number; generation: number; storedAs: number },
  ) {
    this.#all = all;
    this.#log = log;
    this.#generation = generation;
    this.#storedAs = storedAs;
    this.#id = all.database.live(log, storedAs);
    this.position = positionOf(all.database, this.#id);
    this.machine = this.#machineOver(this.#id);
  }

  get syncedIndex(): number {
    return this.#all.database.syncedAppliedIndex(this.#id);
  }
  get logTimeMs(): number {
    return this.machine.logTimeMs;
  }

  apply(entry: LogEntry, command: Command | undefined): Applied {
    return this.machine.apply(entry, command);
  }

  setPosition(position: StatePosition): void {
    this.position = position;
    this.#all.changed(this);
  }

  drained(): StateChange {
    const position = must(this.position, "position of a changed state");
    return { id: this.#id, writes: this.machine.drain(), position: stored(position) };
  }

  heldLocks(): Iterable<HeldLock> {
    return this.machine.heldLocks();
  }

  snapshot(): StateSnapshot {
    this.#all.commit();
    const position = must(this.position, "position of a state to snapshot");
    const pieces = snapshot(this.#all.database.view(this.#id))[Symbol.iterator]();
    // Started, since only a scan under way is sure to be given back its resources.
    const first = pieces.next();
    return {
      position,
      *pieces() {
        for (let next = first; next.done !== true; next = pieces.next()) yield next.value;
      },
      close: () => {
        pieces.return?.();
      },
    };
  }

  freeze(): FrozenMachine {
    const { view, close } = this.#all.database.freeze(this.#id);
    const options = { generation: this.#generation, system: this.#log === systemLog };
    return { machine: new Machine(view, options), close };
  }

  restore(): StateRestore {
    const { database } = this.#all;
    const id = database.beside(this.#log, this.#storedAs);
    const filler = new SnapshotFiller(database.view(id));
    let filled: StatePosition | undefined;
    return {
      add: (piece) => filler.add(piece),
      finish: (position) => {
        filler.finish();
        filled = position;
        database.commit([{ id, writes: [], position: stored(position) }]);
        return database.flush();
      },
      chunks: () => this.#machineOver(id).referencedChunks(),
      install: async () => {
        this.#all.discard(this);
        await database.install(id);
        this.#id = id;
        this.position = filled;
        this.machine = this.#machineOver(id);
      },
      // The next attempt, or the next start, deletes what is there.
      abort: () => {},
    };
  }

  destroy(): void {
    this.#all.forget(this, this.#log);
    this.#all.database.drop(this.#log, this.#storedAs);
  }

  #machineOver(id: StateId): Machine {
    const store = this.#all.database.view(id);
    return new Machine(store, { generation: this.#generation, system: this.#log === systemLog });
  }
}

const out = new WireWriter();

function stored({ index, term, epoch, config }: StatePosition): { appliedIndex: number; data: Uint8Array } {
  out.reserve(64);
  out.putNumber(1, term);
  out.putNumber(2, epoch);
  out.putBytes(3, config);
  return { appliedIndex: index, data: out.take() };
}

function positionOf(database: BoxDatabase, id: StateId): StatePosition | undefined {
  const found = database.position(id);
  if (found === undefined) return undefined;
  const position: StatePosition = { index: found.appliedIndex, term: 0, epoch: 0, config: new Uint8Array(0) };
  const reader = new WireReader(found.data);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8) position.term = reader.varint();
    else if (tag === 16) position.epoch = reader.varint();
    else if (tag === 26) position.config = reader.bytes();
    else reader.skip(tag);
  }
  return position;
}
