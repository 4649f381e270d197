import type { WitnessRecord, WitnessRules } from "../raft/witness.ts";
import { witnessRules } from "../raft/witness.ts";
import type { RecordStore } from "../witness/records.ts";
import { require } from "./violation.ts";

type Record = WitnessRecord<string>;

/**
 * What a witness must never do: go back in an engagement, change one by a vote, or say what a power cut can take back.
 * It sees the decisions through the rules and holds what was told against what a restart finds on the disk.
 */
export class WitnessWatch {
  readonly rules: WitnessRules;
  readonly #name: string;
  /** As decided in memory, by incarnation. */
  readonly #decided = new Map<string, Record>();
  /** Known to others: covered by a reply that left. */
  readonly #told = new Map<string, Record>();
  /** Changed in memory and not durable yet. */
  readonly #pending = new Map<string, Record>();
  /** Incarnations that went with a disk or were given up: nothing may be decided under them ever again. */
  readonly #dead = new Set<string>();

  /** `engaged` is told of every engagement asked for. */
  constructor(name: string, engaged: () => void) {
    this.#name = name;
    this.rules = {
      ...witnessRules,
      join: (incarnation) => this.#note(witnessRules.join(incarnation)),
      onVote: (record, vote) => {
        const outcome = witnessRules.onVote(record, vote);
        const { engTerm, engEpoch, engHolder } = outcome.record;
        const same = engTerm === record.engTerm && engEpoch === record.engEpoch && engHolder === record.engHolder;
        require(same, () => `a vote changed the engagement of witness ${name}`);
        this.#moved(record, outcome.record);
        return outcome;
      },
      onEngage: (record, engage) => {
        const outcome = witnessRules.onEngage(record, engage);
        this.#moved(record, outcome.record);
        engaged();
        return outcome;
      },
    };
  }

  #note<Id>(record: WitnessRecord<Id>): WitnessRecord<Id> {
    const known = record as unknown as Record;
    this.#decided.set(known.incarnation, known);
    return record;
  }

  #moved<Id>(before: WitnessRecord<Id>, after: WitnessRecord<Id>): void {
    require(!this.#dead.has(String(before.incarnation)), () => `witness ${this.#name} uses a record that it lost`);
    const fell =
      after.term < before.term ||
      after.engTerm < before.engTerm ||
      (after.engTerm === before.engTerm && after.engEpoch < before.engEpoch);
    require(!fell, () => `witness ${this.#name} went back from ${show(before)} to ${show(after)}`);
    const revoted = after.term === before.term && before.votedFor !== undefined && after.votedFor !== before.votedFor;
    require(!revoted, () => `witness ${this.#name} voted twice in term ${after.term}`);
    this.#note(after);
    if ((after as unknown) !== before) this.#pending.set(String(after.incarnation), after as unknown as Record);
  }

  /** A write of all that is decided begins; call what is returned when it is durable. */
  writing(): () => void {
    const written = new Map(this.#pending);
    return () => {
      for (const [incarnation, record] of written) {
        if (this.#pending.get(incarnation) === record) this.#pending.delete(incarnation);
      }
    };
  }

  /** What is decided so far. */
  standing(): ReadonlyMap<string, Record> {
    return new Map(this.#decided);
  }

  /** An answer leaves that tells of these decisions. */
  tell(decided: ReadonlyMap<string, Record>): void {
    for (const [incarnation, record] of decided) {
      const early = this.#pending.get(incarnation) === record;
      require(!early, () => `witness ${this.#name} tells of ${show(record)} before it is durable`);
    }
    for (const [incarnation, record] of decided)
      if (this.#decided.has(incarnation)) this.#told.set(incarnation, record);
  }

  /** Whether the witness has decided on an engagement that is not older than this one; true when it is not known. */
  isEngaged(incarnation: Uint8Array, { term, epoch }: { term: number; epoch: number }): boolean {
    const key = Buffer.from(incarnation).toString("latin1");
    const record = this.#decided.get(key) ?? this.#told.get(key);
    if (record === undefined || this.#dead.has(key)) return this.#dead.has(key);
    return record.engTerm > term || (record.engTerm === term && record.engEpoch >= epoch);
  }

  forgotten(incarnation: Uint8Array): void {
    const key = Buffer.from(incarnation).toString("latin1");
    this.#decided.delete(key);
    this.#told.delete(key);
    this.#dead.add(key);
  }

  /** The next life has read its disk. */
  recovered(store: RecordStore): void {
    this.#pending.clear();
    for (const [incarnation, told] of this.#told) {
      const record = store.get(incarnation)?.record;
      require(record !== undefined, () => `witness ${this.#name} forgot a record that it told of`);
      if (record === undefined) continue;
      const engagementKept =
        record.engTerm > told.engTerm || (record.engTerm === told.engTerm && record.engEpoch >= told.engEpoch);
      const voteKept = record.term > told.term || told.votedFor === undefined || record.votedFor === told.votedFor;
      require(record.term >= told.term && engagementKept && voteKept, () => {
        return `witness ${this.#name} told of ${show(told)}, but its disk holds ${show(record)}`;
      });
    }
    this.#decided.clear();
  }

  /** The disk was exchanged: what was told under the old incarnations is void. */
  wiped(): void {
    for (const incarnation of [...this.#decided.keys(), ...this.#told.keys()]) this.#dead.add(incarnation);
    this.#decided.clear();
    this.#told.clear();
  }
}

function show<Id>({ term, votedFor, engTerm, engEpoch, engHolder }: WitnessRecord<Id>): string {
  const short = (id: Id | undefined) =>
    id === undefined ? "-" : Buffer.from(String(id), "latin1").toString("hex", 0, 3);
  return `term ${term} voted ${short(votedFor)} engaged ${engTerm}.${engEpoch} ${short(engHolder)}`;
}
