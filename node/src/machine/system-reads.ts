import { BoxRecord, LogRecord, RuleMap } from "../../../proto/gen/nexus/v1/records.ts";
import { textOf } from "../base/bytes.ts";
import { ByteReader } from "./codec.ts";
import {
  after,
  boxKey,
  boxPrefix,
  disruptionKey,
  federationKey,
  logKey,
  logPrefix,
  pendingMapKey,
  revisionKey,
  ruleMapKey,
  tombstoneKey,
  zoneKey,
} from "./keys.ts";
import type { MachineState } from "./state.ts";

export interface Disruption {
  box: string;
  holder: string;
  /** Log time; past it the right has ended. */
  untilMs: number;
}

/** The system zone's tables, as applied. */
export class SystemReads {
  readonly #state: MachineState;

  constructor(state: MachineState) {
    this.#state = state;
  }

  /** Empty until a first box was registered. */
  get federationUid(): string {
    const bytes = this.#state.overlay.get(federationKey);
    return bytes ? textOf(bytes) : "";
  }

  box(name: string): BoxRecord | undefined {
    const bytes = this.#state.overlay.get(boxKey(name));
    return bytes && BoxRecord.decode(bytes);
  }

  /** In name order. */
  boxes(): BoxRecord[] {
    return this.#all(boxPrefix, BoxRecord.decode);
  }

  /** True when the incarnation was removed: its messages are refused for ever. */
  isTombstoned(incarnation: Uint8Array): boolean {
    return this.#state.overlay.get(tombstoneKey(incarnation)) !== undefined;
  }

  log(log: number): LogRecord | undefined {
    const bytes = this.#state.overlay.get(logKey(log));
    return bytes && LogRecord.decode(bytes);
  }

  /** In order of creation, destroyed ones included. */
  logs(): LogRecord[] {
    return this.#all(logPrefix, LogRecord.decode);
  }

  /** The log that bears the zone's name now. */
  logOfZone(zone: string): LogRecord | undefined {
    const bytes = this.#state.overlay.get(zoneKey(zone));
    return bytes && this.log(new ByteReader(bytes).varint());
  }

  /** Index of the last entry that changed a map, a log or a box. */
  get revision(): number {
    const bytes = this.#state.overlay.get(revisionKey);
    return bytes ? new ByteReader(bytes).varint() : 0;
  }

  /** The active map; epoch 0 without rules before the first. */
  ruleMap(): RuleMap {
    const bytes = this.#state.overlay.get(ruleMapKey);
    const map = bytes ? RuleMap.decode(bytes) : { epoch: 0, rules: [], revision: 0 };
    map.revision = this.revision;
    return map;
  }

  pendingMap(): RuleMap | undefined {
    const bytes = this.#state.overlay.get(pendingMapKey);
    const map = bytes && RuleMap.decode(bytes);
    if (map) map.revision = this.revision;
    return map;
  }

  /** Who may take a box down now or, when `untilMs` has passed, might last. */
  disruption(): Disruption | undefined {
    const bytes = this.#state.overlay.get(disruptionKey);
    if (!bytes) return undefined;
    const reader = new ByteReader(bytes);
    return { box: reader.text(), holder: reader.text(), untilMs: reader.varint() };
  }

  #all<T>(prefix: string, decode: (bytes: Uint8Array) => T): T[] {
    const out: T[] = [];
    for (const { value } of this.#state.overlay.scan({ from: prefix, to: after(prefix) })) out.push(decode(value));
    return out;
  }
}
