import type { Clock } from "@nexus-federation/node/base/clock.ts";
import type { ExpectationLedger, Informer, Log } from "./api.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import { versionOf } from "./object-cache.ts";
import { compareVersions, type KubeObject, keyOfName, type ObjectName } from "./objects.ts";

/** A write that the cache does not show after this long makes its informer list anew, and again every such time. */
const overdueMs = 30_000;
/** When to ask again; the informer's event comes earlier as a rule. */
const askAgainMs = 1_000;

interface Expected {
  kind: "written" | "deleted";
  informer: Informer;
  name: ObjectName;
  uid: string;
  version: string;
  /** When the informer is asked to list anew. */
  overdueAtMs: number;
}

/** The contract is ExpectationLedger's. Nothing is ever given up: an overdue write is met by the list it causes. */
export class Expectations implements ExpectationLedger {
  readonly #byKey = new Map<string, Expected[]>();
  readonly #needs: { clock: Clock; metrics: RuntimeMetrics; log: Log };

  constructor(needs: { clock: Clock; metrics: RuntimeMetrics; log: Log }) {
    this.#needs = needs;
  }

  written(key: string, informer: Informer, written: KubeObject): void {
    this.#expect(key, "written", informer, written);
  }

  deleted(key: string, informer: Informer, object: KubeObject): void {
    this.#expect(key, "deleted", informer, object);
  }

  check(key: string): ReturnType<ExpectationLedger["check"]> {
    const open = (this.#byKey.get(key) ?? []).filter((expected) => !isMet(expected));
    if (open.length === 0) {
      this.forget(key);
      return { kind: "met" };
    }
    this.#byKey.set(key, open);
    for (const expected of open) this.#hurry(key, expected);
    const first = open[0]!;
    const what = `${first.informer.type.kind} ${keyOfName(first.name)} ${first.kind} at revision ${first.version}`;
    return { kind: "pending", retryAfterMs: askAgainMs, what };
  }

  forget(key: string): void {
    this.#byKey.delete(key);
    this.#needs.metrics.expectationsHeld.set(this.#byKey.size);
  }

  /** The newest write of one object stands for all earlier ones. */
  #expect(key: string, kind: Expected["kind"], informer: Informer, object: KubeObject): void {
    const { clock, metrics } = this.#needs;
    const { name, namespace, uid } = object.metadata;
    const expected: Expected = {
      kind,
      informer,
      name: { namespace, name },
      uid: uid ?? "",
      version: versionOf(object),
      overdueAtMs: clock.now() + overdueMs,
    };
    const others = (this.#byKey.get(key) ?? []).filter(
      (other) => other.informer !== informer || keyOfName(other.name) !== keyOfName(expected.name),
    );
    this.#byKey.set(key, [...others, expected]);
    metrics.expectationsHeld.set(this.#byKey.size);
  }

  #hurry(key: string, expected: Expected): void {
    const { clock, metrics, log } = this.#needs;
    if (clock.now() < expected.overdueAtMs) return;
    expected.overdueAtMs = clock.now() + overdueMs;
    const { kind } = expected.informer.type;
    metrics.expectationsOverdue.inc({ kind });
    log.warn({ key, kind, object: keyOfName(expected.name) }, "the cache does not show a write in time and lists anew");
    expected.informer.relist();
  }
}

function isMet({ kind, informer, name, uid, version }: Expected): boolean {
  const cached = informer.get(name);
  if (kind === "deleted") return cached?.metadata.uid !== uid || cached.metadata.deletionTimestamp !== undefined;
  if (informer.synced && compareVersions(informer.resourceVersion, version) >= 0) return true;
  return cached !== undefined && compareVersions(versionOf(cached), version) >= 0;
}
