import type { Clock, Random, Timer } from "@nexus-federation/node/base/clock.ts";
import { delay } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import type { Elector, KubeClient, Leadership, LeaderWork, Log } from "./api.ts";
import { isKubeError } from "./kube-error.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import { type KubeObject, keyOfName, type ObjectName } from "./objects.ts";
import { resourceTypes } from "./resource-types.ts";

export interface ElectorSettings {
  /** Others may take the lease when they have seen it unchanged for this long. Whole seconds. */
  leaseMs: number;
  /**
   * The holder stops this long after it sent its last successful renewal. Invariant: below leaseMs by more than any
   * call takes to be cut.
   */
  renewMs: number;
  /** Between two tries, and up to a fifth more at random. */
  retryMs: number;
  /** One call to the API server. */
  callMs: number;
}

const electorDefaults: ElectorSettings = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000, callMs: 5_000 };

interface LeaseSpec {
  /** Null or empty: given back. */
  holderIdentity?: string | null;
  leaseDurationSeconds?: number | null;
  acquireTime?: string | null;
  renewTime?: string | null;
  leaseTransitions?: number | null;
}
type Lease = KubeObject<LeaseSpec>;

export interface ElectorInit {
  lease: ObjectName;
  /** Of this process: never the same twice. */
  identity: string;
  work: LeaderWork;
  settings?: Partial<ElectorSettings>;
}

export interface ElectorNeeds {
  client: Pick<KubeClient, "get" | "create" | "replace">;
  clock: Clock;
  random: Random;
  metrics: RuntimeMetrics;
  log: Log;
}

interface Term {
  abort: AbortController;
  /** Monotonic time at which the lease is no longer ours. */
  untilMs: number;
  timer: Timer | undefined;
}

/**
 * The contract is Elector's. Time is the monotonic clock of this process alone: how long a lease has not changed before
 * its eyes, how long ago its own last renewal was sent. Clocks of different machines are never compared.
 */
export class LeaderElector implements Elector {
  readonly #init: ElectorInit;
  readonly #needs: ElectorNeeds;
  readonly #settings: ElectorSettings;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #term: Term | undefined;
  /** The lease as it was seen last, and since when it has been so. */
  #seen: { lease: Lease; sinceMs: number } | undefined;
  #lastError = "";

  constructor(init: ElectorInit, needs: ElectorNeeds) {
    this.#init = init;
    this.#needs = needs;
    this.#settings = { ...electorDefaults, ...init.settings };
  }

  get holder(): string {
    return this.#seen?.lease.spec?.holderIdentity ?? "";
  }
  get isLeader(): boolean {
    return this.#term !== undefined && this.#isHeld(this.#term);
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("the elector is stopped"));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#needs;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const startedMs = clock.now();
      await this.#turn();
      // Counted from the start of a turn: slow answers must not eat the time in which the next renewal has to arrive.
      const dueMs = startedMs + this.#settings.retryMs * (1 + random.unit() / 5);
      if (clock.now() < dueMs) await delay(clock, dueMs - clock.now(), signal).catch(() => {});
    }
    const term = this.#term;
    await this.#leave("the operator stops");
    if (term) await this.#giveBack();
  }

  /** One try to take or to keep the lease. */
  async #turn(): Promise<void> {
    const { clock, log } = this.#needs;
    const { lease } = this.#init;
    if (this.#term && !this.#isHeld(this.#term)) await this.#leave("the lease ran out");
    const sentMs = clock.now();
    try {
      const isOurs = await this.#takeOrKeep();
      this.#lastError = "";
      if (isOurs) this.#hold(sentMs);
      else if (this.#term) await this.#leave(`${this.holder || "somebody else"} holds the lease`);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const message = messageOf(error);
      if (message !== this.#lastError)
        log.warn({ lease: keyOfName(lease), error: message }, "the lease was not reached");
      this.#lastError = message;
    }
  }

  /** Whether the lease is ours after this. */
  async #takeOrKeep(): Promise<boolean> {
    const { client, clock } = this.#needs;
    const { lease: name } = this.#init;
    if (this.#term && this.#seen && this.#isOurs(this.#seen.lease)) {
      const kept = await this.#write(this.#seen.lease);
      if (kept) return true;
    }
    const live = await client.get<Lease>(resourceTypes.lease, name, this.#call());
    if (live === undefined) return this.#mayCreate() ? this.#create() : false;
    const isSame = live.metadata.resourceVersion === this.#seen?.lease.metadata.resourceVersion;
    const seen = isSame && this.#seen ? this.#seen : { lease: live, sinceMs: clock.now() };
    this.#seen = seen;
    if (!this.#isOurs(live) && !this.#isFree(live, seen.sinceMs)) return false;
    return this.#write(live);
  }

  /** A lease that somebody deleted binds those who saw another hold it as long as it would have. */
  #mayCreate(): boolean {
    return !this.#seen || this.#isOurs(this.#seen.lease) || this.#isFree(this.#seen.lease, this.#seen.sinceMs);
  }

  #isOurs(lease: Lease): boolean {
    return lease.spec?.holderIdentity === this.#init.identity;
  }

  #isFree(lease: Lease, sinceMs: number): boolean {
    if (!lease.spec?.holderIdentity) return true;
    const lifeMs = (lease.spec.leaseDurationSeconds ?? this.#settings.leaseMs / 1000) * 1000;
    return this.#needs.clock.now() - sinceMs >= lifeMs;
  }

  async #create(): Promise<boolean> {
    const { lease: name } = this.#init;
    const object: Lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...name },
      spec: { ...this.#claim(), acquireTime: this.#microTime(), leaseTransitions: 0 },
    };
    const created = await unlessOvertaken(() => this.#needs.client.create(resourceTypes.lease, object, this.#call()));
    return this.#wrote(created);
  }

  /** Writes our name over `before` unless it has changed; false when it has. */
  async #write(before: Lease): Promise<boolean> {
    const spec = before.spec ?? {};
    const isOurs = this.#isOurs(before);
    const changed: Lease = {
      ...before,
      spec: {
        ...spec,
        ...this.#claim(),
        acquireTime: isOurs ? spec.acquireTime : this.#microTime(),
        leaseTransitions: (spec.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
      },
    };
    return this.#wrote(
      await unlessOvertaken(() => this.#needs.client.replace(resourceTypes.lease, changed, this.#call())),
    );
  }

  #wrote(lease: Lease | undefined): boolean {
    if (lease === undefined) {
      this.#seen = undefined;
      return false;
    }
    this.#seen = { lease, sinceMs: this.#needs.clock.now() };
    return true;
  }

  #call() {
    return { deadlineMs: this.#settings.callMs, signal: this.#stopping.signal };
  }

  #claim(): LeaseSpec {
    const { identity } = this.#init;
    const leaseDurationSeconds = Math.ceil(this.#settings.leaseMs / 1000);
    return { holderIdentity: identity, leaseDurationSeconds, renewTime: this.#microTime() };
  }

  #microTime(): string {
    return new Date(this.#needs.clock.wallMs()).toISOString().replace("Z", "000Z");
  }

  #isHeld(term: Term): boolean {
    return !term.abort.signal.aborted && this.#needs.clock.now() < term.untilMs;
  }

  /** The renewal that was sent at `sentMs` succeeded. */
  #hold(sentMs: number): void {
    const { clock, metrics, log } = this.#needs;
    const untilMs = sentMs + this.#settings.renewMs;
    const term = this.#term ?? { abort: new AbortController(), untilMs, timer: undefined };
    term.untilMs = untilMs;
    // The process slept between sending and now: the lease may be another's already.
    if (!this.#isHeld(term)) return;
    term.timer?.cancel();
    term.timer = clock.after(untilMs - clock.now(), () => term.abort.abort(new Error("the lease ran out")));
    if (this.#term) return;
    this.#term = term;
    const { lease, identity, work } = this.#init;
    metrics.leader.set({ name: keyOfName(lease) }, 1);
    log.info({ lease: keyOfName(lease), identity }, "this operator leads");
    const leadership: Leadership = { signal: term.abort.signal, held: () => this.#isHeld(term) };
    work.lead(leadership);
  }

  /** Ends the term, if there is one, and returns when nothing of it is under way any more. */
  async #leave(reason: string): Promise<void> {
    const { metrics, log } = this.#needs;
    const term = this.#term;
    if (!term) return;
    term.timer?.cancel();
    term.abort.abort(new Error(reason));
    metrics.leader.set({ name: keyOfName(this.#init.lease) }, 0);
    log.warn({ lease: keyOfName(this.#init.lease), reason }, "this operator no longer leads");
    await this.#init.work.ended();
    this.#term = undefined;
  }

  async #giveBack(): Promise<void> {
    const { client, log } = this.#needs;
    const lease = this.#seen?.lease;
    if (!lease || !this.#isOurs(lease)) return;
    const changed: Lease = {
      ...lease,
      spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: this.#microTime() },
    };
    try {
      await client.replace(resourceTypes.lease, changed, { deadlineMs: this.#settings.callMs });
    } catch (error) {
      log.warn({ lease: keyOfName(this.#init.lease), error: messageOf(error) }, "the lease was not given back");
    }
  }
}

/** Undefined when somebody else wrote first. */
async function unlessOvertaken(write: () => Promise<Lease>): Promise<Lease | undefined> {
  try {
    return await write();
  } catch (error) {
    if (isKubeError(error, "CONFLICT", "ALREADY_EXISTS", "NOT_FOUND")) return undefined;
    throw error;
  }
}
