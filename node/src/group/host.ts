import { type Refusal, refuse } from "../base/errors.ts";
import type { RecoveredGroup } from "../log/replay.ts";
import type { Effect } from "../machine/api.ts";
import type { Message } from "../raft/messages.ts";
import type { LinkHandler, Remote, ServeHandler, SnapshotStart } from "../transport/ports.ts";
import { proposalRefusal } from "./admission.ts";
import type { BootstrapCall, CopyDemand, Groups, GroupView, MembershipCall, Proposal } from "./api.ts";
import { bannedRefusal } from "./banned.ts";
import { Bootstraps } from "./bootstrap.ts";
import { ChunkHold } from "./chunk-hold.ts";
import { compactAtRest, compactIfDue } from "./compaction.ts";
import { isWitness } from "./config.ts";
import { boxOf, type HostCore, type SelfIdentity, setBoxDown } from "./core.ts";
import { Delivery } from "./delivery.ts";
import { Drain } from "./drain.ts";
import { Liveness } from "./liveness.ts";
import { LostQuorum } from "./lost-quorum.ts";
import { MembershipDriver } from "./membership.ts";
import { type AppliedListener, type LeadershipListener, type LockListener, Observers } from "./observers.ts";
import { Outbox } from "./outbox.ts";
import { notApplied } from "./pending.ts";
import type { HostNeeds } from "./ports.ts";
import { Probes } from "./probes.ts";
import { Records, recordsGroup } from "./records.ts";
import { Replacement } from "./replacement.ts";
import type { Replica } from "./replica.ts";
import { Replicas } from "./replicas.ts";
import { defaultSettings, type HostSettings } from "./settings.ts";
import { Snapshots } from "./snapshots.ts";
import { type HostStats, statsOf } from "./stats.ts";
import { Ticker } from "./ticker.ts";
import { Turns } from "./turns.ts";
import { mayRefer } from "./unapplied.ts";
import { viewOf } from "./view.ts";
import type { WireMessage } from "./wire.ts";
import { WitnessClient } from "./witness-client.ts";

/** An expiry that was not applied by then is proposed again (locks.ts), ms. */
const expireTimeoutMs = 5_000;

export interface HostInit {
  /** What the segment log held when it was opened. */
  recovered: Iterable<RecoveredGroup>;
  /** Acknowledged data of unknown groups was lost: those that are not in `recovered` count as corrupt. */
  corrupt?: string | undefined;
  settings?: Partial<HostSettings> | undefined;
}

/** All groups of a box. See turns.ts for how they run. */
export class GroupHost implements Groups {
  readonly #core: HostCore;
  readonly #delivery: Delivery;
  readonly #hold: ChunkHold;
  readonly #ticker: Ticker;
  readonly #snapshots: Snapshots;
  readonly #witnesses: WitnessClient;
  readonly #membership: MembershipDriver;
  readonly #bootstraps: Bootstraps;
  readonly #probes: Probes;
  readonly #replicas: Replicas;
  readonly #replacement: Replacement;
  readonly #lostQuorum: LostQuorum;
  readonly #drain: Drain;
  readonly #observers = new Observers();
  #stopped = false;

  constructor(self: SelfIdentity, needs: HostNeeds, init: HostInit) {
    const settings = { ...defaultSettings, ...init.settings };
    const recovered = [...init.recovered];
    const liveness = new Liveness(needs.clock);
    const stored = recovered.find((group) => group.group === recordsGroup)?.snapshotMeta;
    this.#core = {
      self,
      needs,
      settings,
      replicas: new Map(),
      attended: new Set(),
      liveness,
      links: new Map(),
      records: new Records(stored),
      pendingTotal: { bytes: 0 },
      ticks: { value: 0 },
      outbox: new Outbox(needs.network, (box) => liveness.sent(box)),
      turns: new Turns(needs, settings, this.#hooks()),
      view: (replica) => viewOf(replica, this.#core),
      route: (replica, m) => this.#route(replica, m),
    };
    const core = this.#core;
    this.#witnesses = new WitnessClient(core, (replica, m) => this.#delivery.enqueuePrepared(replica, m));
    this.#hold = new ChunkHold(core, (replica, m) => this.#delivery.enqueuePrepared(replica, m));
    this.#snapshots = new Snapshots(core, () => this.#delivery);
    this.#ticker = new Ticker(core, {
      ticked: (replica, nowMs) => this.#ticked(replica, nowMs),
      mayRest: (replica) => this.#membership.isReached(replica),
      rests: (replica) => compactAtRest(core, replica, this.#snapshots.floor(replica.log)),
    });
    this.#membership = new MembershipDriver(core, this.#witnesses);
    this.#probes = new Probes(core);
    this.#replacement = new Replacement(core, (replica) => this.#ticker.wake(replica));
    this.#replicas = new Replicas(core, {
      leaving: (replica) => this.#leaving(replica),
      mayStartSnapshot: () => this.#snapshots.mayStart(),
    });
    this.#drain = new Drain(core);
    this.#lostQuorum = new LostQuorum(core, this.#witnesses, this.#replicas);
    this.#bootstraps = new Bootstraps(core, this.#witnesses, {
      begin: (record, initiated, done) => this.#replicas.begin(record, initiated, done),
      told: (log) => this.#replicas.told(log),
    });
    this.#delivery = new Delivery(core, this.#hold, {
      create: (wire) => this.#replicas.create(wire),
      hostMessage: (from, wire) => this.#hostMessage(from, wire),
      askReplacement: (from, replica) => this.#replacement.ask(replica, from.box),
      succeeded: (from, replica, id) => this.#replacement.succeeded(from, replica, id),
      lost: (replica, reason) => this.#replacement.lost(replica, reason),
      wake: (replica) => this.#ticker.wake(replica),
      quiesce: (replica) => this.#ticker.quiesce(replica),
    });
    this.#replicas.recover(recovered, init.corrupt);
  }

  start(): void {
    const { network } = this.#core.needs;
    network.onServe("raft", this.serveHandler);
    network.onLink("raft", this.#linkHandler("raft"));
    network.onLink("witness", this.#linkHandler("witness"));
    this.#core.turns.start();
    for (const record of this.#core.records.all()) {
      if (record.initiated !== undefined && !record.removed) this.#bootstraps.resume(record.initiated, () => {});
    }
    for (const replica of this.#core.replicas.values()) {
      this.#core.turns.mark(replica);
      // Whoever serves reads from states must know it before the first one.
      if (replica.mute) this.#leadership(replica);
    }
  }

  /** Nothing is answered after this; callers that wait get UNKNOWN_OUTCOME or NO_LEADER. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#core.turns.stop();
    this.#snapshots.stop();
    for (const replica of this.#core.replicas.values()) replica.abandon(notApplied(""));
  }

  /** Why a box's streams are not taken; undefined when they are. */
  readonly admit = (remote: Remote): Refusal | undefined => bannedRefusal(this.#core.replicas.values(), remote);

  readonly serveHandler: ServeHandler = {
    admit: this.admit,
    frame: (session, bytes) => this.#delivery.enqueue(session.remote, bytes),
    closed: () => {},
  };

  #linkHandler(service: "raft" | "witness"): LinkHandler {
    return {
      up: (remote) => {
        if (service === "raft") this.#core.links.set(remote.box, Uint8Array.from(remote.incarnation));
        this.#linkChanged(service, remote.box, true);
      },
      down: (box) => {
        if (service === "raft") this.#core.links.delete(box);
        this.#linkChanged(service, box, false);
      },
      frame: (remote, bytes) => {
        if (service === "witness") this.#witnesses.frame(remote, bytes);
      },
    };
  }

  #linkChanged(service: "raft" | "witness", box: string, up: boolean): void {
    if (this.#stopped) return;
    if (service === "witness") {
      if (!up) this.#witnesses.down(box);
      return;
    }
    setBoxDown(this.#core, box, !up);
    if (up) return this.#ticker.wakeLedHere(box);
    this.#snapshots.down(box);
    this.#delivery.unreachable(box);
    this.#ticker.wakeLedBy(box);
  }

  #hooks() {
    return {
      deliver: () => this.#delivery.deliverAll(),
      tick: () => {
        this.#ticker.tick();
        const now = this.#core.needs.clock.now();
        this.#witnesses.tick(now);
        this.#bootstraps.tick(now);
        this.#drain.tick(now);
        this.#probes.tick(now);
      },
      route: (replica: Replica, m: Message) => this.#route(replica, m),
      sendAll: () => {
        this.#core.outbox.sendAll();
        this.#witnesses.sendAll();
        this.#observers.tellLocks();
      },
      leadership: (replica: Replica) => this.#leadership(replica),
      applied: (replica: Replica, events: number) => this.#applied(replica, events),
      effect: (replica: Replica, effect: Effect) => this.#effect(replica, effect),
      membership: (replica: Replica) => this.#membership.changed(replica),
      fatal: (error: unknown) => {
        this.stop();
        this.#core.needs.onFatal(error);
      },
    };
  }

  #route(replica: Replica, m: Message): void {
    if (m.type === "MsgSnap") return this.#snapshots.send(replica, m);
    if (isWitness(replica.config, m.to)) return this.#witnesses.ask(replica, m);
    // A farewell needs no answer.
    if (replica.quiet && m.type === "MsgHeartbeatResp") return;
    const box = boxOf(this.#core, replica, m.to);
    if (box === undefined || box === this.#core.self.box) return;
    this.#core.outbox.add(box, { log: replica.log, generation: replica.generation, message: m });
  }

  #leadership(replica: Replica): void {
    this.#ticker.wake(replica);
    if (replica.ready) replica.locks.start(replica.state.heldLocks(), this.#core.needs.clock.now());
    this.#core.turns.mark(replica); // what was proposed before it was ready
    this.#observers.tellLeadership(replica.log, this.#core.view(replica));
  }

  #applied(replica: Replica, events: number): void {
    this.#observers.tellApplied(replica.log, { index: replica.applied, events });
  }

  #effect(replica: Replica, effect: Effect): void {
    if (replica.isLeader) replica.locks.observe(effect, this.#core.needs.clock.now());
    this.#observers.noteEffect(replica.log, effect);
  }

  #ticked(replica: Replica, nowMs: number): void {
    if (replica.mute) {
      this.#replacement.ask(replica);
      return;
    }
    replica.expire(nowMs);
    if (replica.reads.retry(nowMs, replica.timing.heartbeatMs)) this.#core.turns.mark(replica);
    for (const command of replica.isLeader ? replica.locks.due(nowMs) : []) {
      this.propose(replica.log, { command, timeoutMs: expireTimeoutMs, done: () => {} });
    }
    this.#membership.tick(replica, nowMs);
    compactIfDue(this.#core, replica, this.#snapshots.floor(replica.log));
  }

  #leaving(replica: Replica): void {
    this.#ticker.wake(replica);
    this.#hold.forget(replica);
    this.#membership.forget(replica);
    this.#probes.forget(replica);
  }

  remove(log: number): Promise<void> {
    this.#witnesses.forgetAll(this.#core.replicas.get(log));
    return this.#replicas.remove(log);
  }

  #hostMessage(from: Remote, wire: WireMessage): void {
    if (wire.host === "HostBootstrap") this.#bootstraps.receive(from, wire);
    else if (wire.host === "HostBootstrapResp") this.#bootstraps.receiveAnswer(from, wire);
    else if (wire.host === "HostReseed") this.#replacement.asked(from, wire);
  }

  receiveSnapshot(from: Remote, start: SnapshotStart, data: AsyncIterable<Uint8Array>): Promise<Refusal | undefined> {
    return this.#snapshots.receive(from, start, data);
  }

  // The seam to zones.

  readonly has = (log: number): boolean => this.#core.replicas.has(log);
  readonly logs = (): number[] => [...this.#core.replicas.keys()];

  view(log: number): GroupView | undefined {
    const replica = this.#core.replicas.get(log);
    return replica === undefined ? undefined : this.#core.view(replica);
  }

  propose(log: number, proposal: Proposal): void {
    const replica = this.#core.replicas.get(log);
    const refusal = proposalRefusal(this.#core, replica, { proposal, draining: this.#drain.active });
    if (refusal !== undefined || replica === undefined) {
      if (replica !== undefined) replica.proposals.refused++;
      proposal.done({ kind: "refused", refusal: refusal ?? notApplied("") });
      return;
    }
    if (replica.quiet) this.#ticker.wake(replica, replica.ready);
    replica.proposals.add(proposal, this.#core.needs.clock.now());
    this.#core.turns.mark(replica);
  }

  readIndex(log: number, done: (refusal: Refusal | undefined, index: number) => void, timeoutMs: number): void {
    const replica = this.#core.replicas.get(log);
    if (replica === undefined || replica.mute) {
      done(notApplied(""), 0);
      return;
    }
    if (replica.quiet) this.#ticker.wake(replica);
    replica.reads.add(this.#core.needs.clock.now() + timeoutMs, done);
    this.#core.turns.mark(replica);
  }

  stalenessMs(log: number, asks: "read" | "report" = "read"): number {
    const replica = this.#core.replicas.get(log);
    if (replica === undefined || replica.mute) return Number.POSITIVE_INFINITY;
    return asks === "read" ? this.#probes.stalenessMs(replica) : this.#probes.reportedMs(replica);
  }

  whenApplied(log: number, index: number, done: (refusal: Refusal | undefined) => void, timeoutMs: number): void {
    const replica = this.#core.replicas.get(log);
    if (replica === undefined || replica.mute) done(notApplied(""));
    else if (replica.applied >= index) done(undefined);
    else replica.appliedWaiters.add(index, this.#core.needs.clock.now() + timeoutMs, done);
  }

  whenDurable(
    log: number,
    index: number,
    demand: CopyDemand,
    done: (refusal: Refusal | undefined) => void,
    timeoutMs: number,
  ): void {
    const replica = this.#core.replicas.get(log);
    if (replica === undefined || !replica.isLeader) {
      done(notApplied(replica?.leaderBox ?? ""));
      return;
    }
    const wanted = { index, copies: demand.copies };
    if (replica.isDurable(wanted)) done(undefined);
    else replica.durableWaiters.add(wanted, this.#core.needs.clock.now() + timeoutMs, done);
  }

  transfer(log: number, toBox: string | undefined): Promise<Refusal | undefined> {
    const replica = this.#core.replicas.get(log);
    if (replica === undefined) return Promise.resolve(notApplied(""));
    this.#ticker.wake(replica);
    return this.#drain.transfer(replica, toBox);
  }

  proposeMembership(log: number, target: MembershipCall): Promise<Refusal | undefined> {
    const replica = this.#core.replicas.get(log);
    if (replica === undefined) return Promise.resolve(notApplied(""));
    this.#ticker.wake(replica);
    return this.#membership.propose(replica, target);
  }

  membershipReached(log: number): boolean {
    const replica = this.#core.replicas.get(log);
    return replica?.ready === true && this.#membership.isReached(replica);
  }

  membershipWaits(log: number): string {
    const replica = this.#core.replicas.get(log);
    return replica?.ready === true ? this.#membership.waitsFor(replica) : "";
  }

  bootstrap(call: BootstrapCall): Promise<Refusal | undefined> {
    if (this.#stopped) return Promise.resolve(refuse("ZONE_UNAVAILABLE", "the host has stopped"));
    return this.#bootstraps.start(call);
  }

  readonly recover: Groups["recover"] = (call) => this.#lostQuorum.recover(call);

  mayRefer(address: Uint8Array): boolean {
    return mayRefer(this.#core, address, (log) => this.#snapshots.isReceiving(log));
  }

  stats(): HostStats {
    const { inbox } = this.#delivery;
    return statsOf(this.#core, { inbox, witness: this.#witnesses.counts, snapshots: this.#snapshots.counts });
  }

  drain(timeoutMs: number): Promise<void> {
    for (const replica of this.#core.replicas.values()) this.#ticker.wake(replica);
    return this.#drain.begin(timeoutMs);
  }

  undrain(): void {
    this.#drain.end();
  }

  onLeadership(listener: LeadershipListener): void {
    this.#observers.leadership.push(listener);
  }
  onApplied(listener: AppliedListener): void {
    this.#observers.applied.push(listener);
  }
  onLocks(listener: LockListener): void {
    this.#observers.locks.push(listener);
  }
}
