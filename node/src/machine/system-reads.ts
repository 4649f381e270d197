import { BoxRecord, LogRecord, RuleMap } from "@nexus-federation/proto/records.ts";
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
  returningKey,
  revisionKey,
  ruleMapKey,
  spentEpochKey,
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

/** The refusal that ended a hand-over, and the zone whose rule is to blame. */
export interface Returning {
  code: string;
  reason: string;
  rule: string;
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

  /** Grows with every change of a map, a log or a box: index of the entry that made it. */
  get revision(): number {
    const bytes = this.#state.overlay.get(revisionKey);
    return bytes ? new ByteReader(bytes).varint() : 0;
  }

  /** The active map; epoch 0 without rules before the first. */
  ruleMap(): RuleMap {
    const bytes = this.#state.overlay.get(ruleMapKey);
    return bytes ? RuleMap.decode(bytes) : { epoch: 0, rules: [] };
  }

  pendingMap(): RuleMap | undefined {
    const bytes = this.#state.overlay.get(pendingMapKey);
    return bytes && RuleMap.decode(bytes);
  }

  pendingEpoch(): number | undefined {
    const bytes = this.#state.overlay.get(pendingMapKey);
    return bytes && epochOf(bytes);
  }

  /** Why the pending map is only given back from now on; undefined while it is to become the active one. */
  returning(): Returning | undefined {
    const bytes = this.#state.overlay.get(returningKey);
    if (!bytes) return undefined;
    const reader = new ByteReader(bytes);
    return { code: reader.text(), reason: reader.text(), rule: reader.text() };
  }

  /** Epoch of the next map: larger than that of any map that ever was pending, or late steps of those would count. */
  nextEpoch(): number {
    const bytes = this.#state.overlay.get(spentEpochKey);
    return Math.max(this.ruleMap().epoch, bytes ? new ByteReader(bytes).varint() : 0) + 1;
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

/** Of an encoded RuleMap: its first field, which is left out when it is 0. */
function epochOf(bytes: Uint8Array): number {
  return bytes[0] === 8 ? new ByteReader(bytes.subarray(1)).varint() : RuleMap.decode(bytes).epoch;
}

export function putLog(state: MachineState, log: LogRecord): void {
  state.overlay.put(logKey(log.log), LogRecord.encode(log).finish());
  state.effects.push({ kind: "system-changed", what: "logs" });
}
