import { NexusError } from "../base/errors.ts";
import type { LogWrite } from "../log/records.ts";
import type { Effect } from "../machine/api.ts";
import type { Message } from "../raft/messages.ts";
import type { Outcome } from "./api.ts";
import type { Replica, TurnOutput } from "./replica.ts";
import type { TurnHooks, TurnNeeds, TurnSettings } from "./turn-ports.ts";

interface Work {
  replica: Replica;
  message: Message;
}

/** One durable write, with the work whose responses it releases. */
interface Append {
  works: Work[];
  writes: LogWrite[];
  startedMs: number;
  durable: boolean;
  /** Refused for lack of room, as all behind it were: given again, in order, when none is under way. */
  refused: boolean;
}

/** Entries that a turn applies by itself; more are applied in slices of their own. */
const applyAtOnceMax = 8;
/** Entries of one replica applied at a time. */
const applySliceMax = 128;
/** Applied state waits so long for more, to be written to the store together, ms, ... */
const storeDelayMs = 10;
/** ... but no longer than until so many entries were applied. */
const storeEntriesMax = 512;
/** A write under way for less is not waited for by anybody who would miss a beat, ms: what moved goes with the next turn. */
const speakAfterMs = 20;
/** Pause before writes that found no room are given again, ms. */
const retryMs = 200;

/**
 * The loop that runs all groups of a box.
 *
 * Problem: a thousand groups that each write, send and apply by themselves cost a thousand durable writes and small
 * packets where one would do, and answers that overtake their writes are lies. So nothing happens when it arrives: it is
 * queued, and a turn, run once what the event loop had is in, takes it all: messages, finished writes, a tick,
 * proposals. Then every group that moved says what it wants, and that becomes one write of the log (several may be under
 * way, in order), and one frame a peer. What is committed is applied in slices, whose answers go out before the next one;
 * the store gets all of it in one batch a little later, since the log has it already.
 */
export class Turns implements TurnOutput {
  readonly #needs: TurnNeeds;
  readonly #settings: TurnSettings;
  readonly #hooks: TurnHooks;
  #dirty = new Set<Replica>();
  #applying = new Set<Replica>();
  #applyScheduled = false;
  /** A write to the store is due. */
  #storing = false;
  /** Entries applied since the last one. */
  #unstored = 0;
  #scheduled = false;
  /** What a turn itself asks for is for the next round of the event loop, or turns would follow each other for ever. */
  #running = false;
  #stopped = false;
  #tickDue = false;
  /** Writes found no room; nothing new is begun before they went through. */
  #retrying = false;
  /** When a write last became durable. */
  #writtenMs = 0;
  /** Handed to the log, oldest first. */
  #appends: Append[] = [];
  #gathered: { works: Work[]; writes: LogWrite[] } = { works: [], writes: [] };
  /** Writes of others than replicas (bootstrap records), to go with the next append. */
  #extra: { writes: LogWrite[]; done: () => void }[] = [];
  /** So many of them were asked for before the replicas of this turn, and stand before their writes. */
  #extraFirst = 0;
  #extraDone: { append: Append; done: () => void }[] = [];
  #installed: { work: Work; write: LogWrite }[] = [];

  constructor(needs: TurnNeeds, settings: TurnSettings, hooks: TurnHooks) {
    this.#needs = needs;
    this.#settings = settings;
    this.#hooks = hooks;
  }

  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** For how long the write that the disk is at has been under way, ms; 0 when there is none. Others wait behind it. */
  get stallMs(): number {
    const oldest = this.#appends[0];
    return oldest === undefined ? 0 : this.#needs.clock.now() - Math.max(oldest.startedMs, this.#writtenMs);
  }

  /** The replica has something to do. */
  mark(replica: Replica): void {
    this.#dirty.add(replica);
    this.schedule();
  }

  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    const { clock } = this.#needs;
    if (this.#running) clock.defer(() => this.#turn());
    else clock.soon(() => this.#turn());
  }

  /** Writes of the host itself, in order with those of the replicas. */
  write(writes: LogWrite[], done: () => void): void {
    this.#extra.push({ writes, done });
    this.schedule();
  }

  forget(replica: Replica): void {
    this.#dirty.delete(replica);
    this.#applying.delete(replica);
  }

  #arm(): void {
    this.#needs.clock.after(this.#settings.tickMs, () => {
      if (this.#stopped) return;
      this.#tickDue = true;
      this.schedule();
      this.#arm();
    });
  }

  #turn(): void {
    this.#running = true;
    this.#run();
    this.#running = false;
  }

  #run(): void {
    this.#scheduled = false;
    if (this.#stopped) return;
    this.#hooks.deliver();
    this.#settle();
    if (this.#tickDue) {
      this.#tickDue = false;
      this.#hooks.tick();
    }
    if (this.#mayCollect) this.#collect();
    else if (!this.#retrying) this.#speak();
    if (this.#applying.size > 0 && !this.#applyScheduled) this.#applyOrLater();
    this.#hooks.sendAll();
  }

  /** Few entries are applied at once; for many, what this turn sends leaves the process first. */
  #applyOrLater(): void {
    let entries = 0;
    for (const replica of this.#applying) entries += replica.unapplied;
    if (entries <= applyAtOnceMax) this.#apply();
    else this.#applyLater();
  }

  /** A deferred write of a socket leaves one round of the event loop after it was asked for. */
  #applyLater(): void {
    this.#applyScheduled = true;
    const { clock } = this.#needs;
    clock.defer(() =>
      clock.defer(() => {
        this.#applyScheduled = false;
        if (this.#stopped) return;
        this.#apply();
        this.#hooks.sendAll();
      }),
    );
  }

  /** The log's disk has no room: what is asked now would wait with what found none. */
  get isFull(): boolean {
    return this.#retrying && this.#appends.some((append) => append.refused);
  }

  /** While it is false, replicas that moved wait for a write to end, which begins a turn. */
  get #mayCollect(): boolean {
    return this.#appends.length < this.#settings.appendsMax && !this.#retrying;
  }

  /**
   * The disk is slow, and what moved must wait for it; but beats and their answers tell that this box is alive, and would
   * be missed in all groups at once. Not for longer than an election takes: a disk that hangs is to be noticed.
   */
  #speak(): void {
    const { stallMs } = this;
    if (stallMs < speakAfterMs) return;
    for (const replica of this.#dirty) {
      const isSilent = replica.mute || replica.installing || stallMs > replica.timing.electionMs;
      if (isSilent || !replica.node.hasMessages) continue;
      for (const message of replica.node.takeMessages()) this.#hooks.route(replica, message);
    }
  }

  #collect(): void {
    const { clock } = this.#needs;
    const dirty = this.#dirty;
    this.#extraFirst = this.#extra.length;
    this.#dirty = new Set();
    const now = clock.now();
    const wall = clock.wallMs();
    for (const replica of dirty) {
      replica.flush(now, wall);
      replica.collect(this);
      if (replica.hasApplies) this.#applying.add(replica);
    }
    this.#issue();
    this.#settle();
    for (const replica of dirty) this.#again(replica);
  }

  #again(replica: Replica): void {
    if (!replica.installing && replica.node.hasReady()) this.mark(replica);
  }

  #issue(): void {
    const { works, writes } = this.#gathered;
    const extra = this.#extra;
    for (const { work, write } of this.#installed) {
      works.push(work);
      writes.push(write);
    }
    // What clears the way for a new replica must not clear away what that replica writes in the same turn.
    writes.unshift(...extra.slice(0, this.#extraFirst).flatMap((item) => item.writes));
    for (const item of extra.slice(this.#extraFirst)) writes.push(...item.writes);
    if (works.length === 0 && writes.length === 0 && extra.length === 0) return;
    this.#installed = [];
    this.#extra = [];
    this.#gathered = { works: [], writes: [] };
    const startedMs = this.#needs.clock.now();
    const append: Append = { works, writes, startedMs, durable: writes.length === 0, refused: false };
    this.#appends.push(append);
    for (const { done } of extra) this.#extraDone.push({ append, done });
    if (!append.durable) this.#write(append);
  }

  #write(append: Append, andThen?: () => void): void {
    append.refused = false;
    this.#needs.log.append(append.writes).then(
      () => {
        append.durable = true;
        this.#writtenMs = this.#needs.clock.now();
        this.schedule();
        andThen?.();
      },
      (error: unknown) => {
        const mayRetry = error instanceof NexusError && (error.code === "DISK_FULL" || error.code === "OVERLOADED");
        if (!mayRetry) return this.#hooks.fatal(error);
        append.refused = true;
        if (!this.#retrying || andThen !== undefined) this.#retryLater();
      },
    );
  }

  #retryLater(): void {
    this.#retrying = true;
    this.#needs.clock.after(retryMs, () => {
      if (this.#stopped) return;
      if (this.#appends.some((append) => !append.durable && !append.refused)) return this.#retryLater();
      this.#giveAgain();
    });
  }

  /** One behind the other: given side by side, a small one could find room that a larger one before it did not. */
  #giveAgain(): void {
    const next = this.#appends.find((append) => append.refused);
    if (next !== undefined) return this.#write(next, () => this.#giveAgain());
    this.#retrying = false;
    this.schedule();
  }

  /** Finished writes release what waited for them, in the order in which they were begun. */
  #settle(): void {
    while (this.#appends[0]?.durable === true) {
      const append = this.#appends.shift() as Append;
      for (const { replica, message } of append.works) {
        replica.inFlight--;
        if (message.snapshot !== undefined) replica.installing = false;
        replica.appended(message, this);
        this.#again(replica);
      }
      const finished = this.#extraDone.filter((item) => item.append === append);
      if (finished.length === 0) continue;
      this.#extraDone = this.#extraDone.filter((item) => item.append !== append);
      for (const { done } of finished) done();
    }
    if (this.#dirty.size > 0 && this.#mayCollect) this.schedule();
  }

  /** One slice: the answers of it are on their way while the next one is applied. */
  #apply(): void {
    const { clock, applyTook } = this.#needs;
    const applying = this.#applying;
    const startedMs = clock.now();
    this.#applying = new Set();
    for (const replica of applying) {
      this.#unstored += Math.min(replica.unapplied, applySliceMax);
      replica.applySome(this, applySliceMax);
      replica.answerAll(this);
      this.#again(replica);
      if (replica.hasApplies) this.#applying.add(replica);
    }
    if (applying.size > 0) applyTook?.((clock.now() - startedMs) / 1000);
    this.#storeLater();
    if (this.#applying.size > 0 && !this.#applyScheduled) this.#applyLater();
  }

  /** The store follows behind the answers: what it does not have yet, the log has. */
  #storeLater(): void {
    const { clock } = this.#needs;
    if (this.#unstored >= storeEntriesMax) {
      this.#unstored = 0;
      clock.defer(() => this.#store());
    }
    if (this.#storing) return;
    this.#storing = true;
    clock.after(storeDelayMs, () => {
      this.#storing = false;
      this.#store();
    });
  }

  #store(): void {
    if (this.#stopped) return;
    this.#unstored = 0;
    try {
      this.#needs.states.commit();
    } catch (error) {
      this.#hooks.fatal(error);
    }
  }

  append(replica: Replica, message: Message, write: LogWrite | undefined): void {
    replica.inFlight++;
    const work = { replica, message };
    if (message.snapshot !== undefined && write !== undefined) {
      this.#install(work, write);
      return;
    }
    this.#gathered.works.push(work);
    if (write !== undefined) this.#gathered.writes.push(write);
  }

  /** State first, then log: an applied index above the log's end is understood at a start, one below its begin is not. */
  #install(work: Work, write: LogWrite): void {
    const { replica } = work;
    replica.installing = true;
    // What was committed before it comes first.
    replica.applySome(this, Number.POSITIVE_INFINITY);
    replica.answerAll(this);
    const { prepared } = replica;
    if (prepared === undefined) return;
    prepared.restore.install().then(
      () => {
        this.#installed.push({ work, write });
        this.#dirty.add(replica);
        this.schedule();
      },
      (error: unknown) => this.#hooks.fatal(error),
    );
  }

  send(replica: Replica, message: Message): void {
    if (!replica.mute) this.#hooks.route(replica, message);
  }
  answer(done: (outcome: Outcome) => void, outcome: Outcome): void {
    done(outcome);
  }
  leadership(replica: Replica): void {
    this.#hooks.leadership(replica);
  }
  applied(replica: Replica, events: number): void {
    this.#hooks.applied(replica, events);
  }
  effect(replica: Replica, effect: Effect): void {
    this.#hooks.effect(replica, effect);
  }
  membership(replica: Replica): void {
    this.#hooks.membership(replica);
  }
}
