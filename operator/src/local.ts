// `nexus up`: one federation on this machine. The problem: a laptop should run the same resources, planner and boxes as a
// cluster, with nothing to install. Why not a fixed script that starts three processes: then changes, crashes and
// restarts would have answers of their own. The sketch: a loop asks every box for its status, plans, executes, ten times
// a second while there is something to do; processes are children (backends/local/child.ts); apply, status and down
// come over a unix socket in the folder.
import { existsSync, readFileSync, rmSync } from "node:fs";
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { keyOf } from "./api/kinds.ts";
import type { SourceFile } from "./api/load.ts";
import { claimant, claimFolder } from "./backends/local/claim.ts";
import { type ControlDoor, serveControl } from "./backends/local/control.ts";
import { type Boxes, Fleet } from "./backends/local/fleet.ts";
import { Folder, writePrivate } from "./backends/local/folder.ts";
import { ensureToken, Identities, type LocalContext, writeContext } from "./backends/local/identities.ts";
import { faultsAfter, noteOf, refusedOutcome } from "./backends/local/outcome.ts";
import type { ProgramSettings } from "./backends/local/programs.ts";
import { Questions } from "./backends/local/questions.ts";
import { Renewal } from "./backends/local/renewal.ts";
import { type ApplyOutcome, faultsIn, type LocalStatus, localStatus } from "./backends/local/status.ts";
import { DesiredStore, type Loaded } from "./backends/local/store.ts";
import { Admin } from "./backends/shared/admin.ts";
import { Executor } from "./backends/shared/execute.ts";
import { observedOf } from "./backends/shared/observe.ts";
import { Rounds } from "./backends/shared/rounds.ts";
import type { Action } from "./planner/actions.ts";
import { type Desired, desiredOf } from "./planner/desired.ts";
import type { Observed } from "./planner/observed.ts";
import { plan } from "./planner/plan.ts";

/** `federation` is the trust domain; `detached` processes outlive the supervisor, and a later `up` adopts them. */
export interface LocalSettings extends ProgramSettings {
  /** The federation's own folder. */
  folder: string;
  /** What happens, one line each, for progress. */
  report?: (line: string) => void;
  /** Boxes that somebody else runs. Default: processes of this machine. */
  boxes?: Boxes;
  /** Life of the certificates issued, ms. Default: 90 days. */
  leafLifeMs?: number;
}

/** Time between two looks while something changes, and while nothing does. */
const busyMs = 100;
const idleMs = 1000;
/** Rounds without any news after which an unfinished world is looked at as rarely as a finished one. */
const quietRoundsMax = 100;
const statusTimeoutMs = 1000;

export class LocalRuntime {
  readonly folder: Folder;
  readonly #settings: LocalSettings;
  readonly #clock: Clock;
  readonly #store: DesiredStore;
  readonly #fleet: Boxes;
  readonly #admin: Admin;
  readonly #renewal: Renewal;
  readonly #executor: Executor;
  readonly #context: Omit<LocalContext, "endpoints">;
  readonly #rounds = new Rounds();
  readonly #questions: Questions;
  #observed: Observed;
  #settled = false;
  #executing: Promise<void> | undefined;
  #stopping = false;
  #wake: () => void = () => {};
  #loop: Promise<void> = Promise.resolve();
  #door: ControlDoor | undefined;
  /** Lets the folder go. */
  readonly #release: () => void;
  /** Called after each round; for those who wait for it to settle. */
  readonly #waiting = new Set<() => void>();
  #stopped: Promise<void> | undefined;
  readonly #closed = Promise.withResolvers<void>();

  private constructor(
    settings: LocalSettings,
    parts: {
      folder: Folder;
      store: DesiredStore;
      identities: Identities;
      admin: Admin;
      token: string;
      release: () => void;
      clock: Clock;
      random: Random;
    },
  ) {
    const { folder, store, identities, admin, token, release, clock, random } = parts;
    this.#release = release;
    this.#settings = settings;
    this.folder = folder;
    this.#clock = clock;
    this.#store = store;
    this.#admin = admin;
    const report = (line: string) => this.#report(line);
    this.#renewal = new Renewal({ identities, admin, clock, report }, settings.leafLifeMs);
    const done = (action: Action, refusal: string | undefined) =>
      refusal === undefined && this.#renewal.executed(action, this.#observed.registered);
    this.#executor = new Executor({ admin, clock, random, done, report });
    const changed = (box: string, view: { running: boolean; pid: number; lastExit: string }) => {
      this.#report(view.running ? `${box} runs (pid ${view.pid})` : `${box} ${view.lastExit || "does not run"}`);
      this.#wake();
    };
    this.#fleet = settings.boxes ?? new Fleet({ clock, random, folder, identities, changed }, settings);
    this.#questions = new Questions(admin, clock);
    this.#context = { federation: settings.federation, token, ca: identities.caPem, dir: folder.root };
    this.#observed = this.#observe();
  }

  /** Takes the folder. Refuses (ALREADY_EXISTS) when another supervisor has it. */
  static async open(
    settings: LocalSettings,
    needs: { clock: Clock; random: Random } = { clock: systemClock, random: systemRandom },
  ): Promise<LocalRuntime> {
    const folder = new Folder(settings.folder);
    folder.create();
    const release = claimFolder(folder);
    try {
      return await LocalRuntime.#compose(settings, { folder, release }, needs);
    } catch (error) {
      release();
      throw error;
    }
  }

  static async #compose(
    settings: LocalSettings,
    claimed: { folder: Folder; release: () => void },
    needs: { clock: Clock; random: Random },
  ): Promise<LocalRuntime> {
    const { folder } = claimed;
    const now = needs.clock.wallMs();
    const identities = await Identities.open(folder, settings.federation, {
      nowMs: now,
      lifeMs: settings.leafLifeMs,
    });
    const admin = new Admin(await identities.operator(now), needs.clock.wallMs, {
      federation: settings.federation,
      statusTimeoutMs,
    });
    const store = new DesiredStore(folder.desired, settings.federation);
    const token = ensureToken(folder, settings.federation, needs.random);
    return new LocalRuntime(settings, { ...claimed, store, identities, admin, token, ...needs });
  }

  /** Starts what was declared before together with `files`. When these are refused, nothing is started. */
  async start(files: readonly SourceFile[]): Promise<ApplyOutcome> {
    const loaded = this.#store.load(files);
    if ("faults" in loaded) return refusedOutcome(loaded.faults);
    this.#store.apply(loaded.resources, this.#clock.wallMs());
    this.#door = await serveControl(this.folder, {
      status: async () => this.status(),
      apply: (request) => this.apply(request.files),
      delete: (request) => this.delete(request.files),
      settle: (request) => this.settle(request.timeoutMs),
      revoke: ({ box }) => this.#renewal.replace(box).then(() => ({ revoked: true })),
      down: async ({ deleteData }) => {
        await this.#halt();
        // The answer leaves before the door closes.
        this.#clock.after(50, () => void this.stop({ deleteData }));
        return { stopped: true };
      },
    });
    this.#loop = this.#run();
    return this.#outcome(loaded, loaded.resources.flatMap(noteOf));
  }

  /** Adds and replaces objects. Refused as a whole, or taken. */
  async apply(files: readonly SourceFile[]): Promise<ApplyOutcome> {
    const loaded = this.#store.load(files);
    if ("faults" in loaded) return refusedOutcome(loaded.faults);
    this.#store.apply(loaded.resources, this.#clock.wallMs());
    return this.#outcome(loaded, loaded.resources.flatMap(noteOf));
  }

  /** Retires zones and mounts; boxes end when no member list names them. */
  async delete(files: readonly SourceFile[]): Promise<ApplyOutcome> {
    const loaded = this.#store.load(files);
    if ("faults" in loaded) return refusedOutcome(loaded.faults);
    const reasons = this.#store.deletionFaults(loaded.resources);
    if (reasons.length > 0)
      return refusedOutcome(reasons.map((reason) => ({ file: files[0]?.name ?? "", line: 1, field: "", reason })));
    const absent = this.#store.delete(loaded.resources, this.#clock.wallMs());
    const outcome = this.#outcome(loaded, []);
    return { ...outcome, taken: outcome.taken.filter((object) => !absent.includes(object)), absent };
  }

  status(): LocalStatus {
    return localStatus({
      federation: this.#settings.federation,
      folder: this.folder.root,
      settled: this.#settled,
      desired: this.#desired(),
      observed: this.#observed,
      replies: this.#questions.replies,
      children: this.#fleet.views,
      silent: this.#questions.silent,
      problems: this.#executor.problems,
    });
  }

  /** The status once nothing is left to do, or after `timeoutMs` as it is then. */
  settle(timeoutMs: number): Promise<LocalStatus> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#waiting.delete(check);
        resolve(this.status());
      };
      const check = () => {
        if (this.#settled || this.#stopping) done();
      };
      const timer = this.#clock.after(timeoutMs, done);
      this.#waiting.add(check);
    });
  }

  /** Resolves when the runtime has stopped, whoever asked for it, and whoever asked has been answered. */
  finished(): Promise<void> {
    return this.#closed.promise;
  }

  /** Stops every process (at most about five seconds) and lets the folder go. Idempotent. */
  stop(options: { deleteData?: boolean } = {}): Promise<void> {
    this.#stopped ??= this.#close(options).finally(this.#closed.resolve);
    return this.#stopped;
  }

  async #close(options: { deleteData?: boolean }): Promise<void> {
    await this.#halt();
    this.#admin.close();
    await this.#door?.close();
    if (options.deleteData) rmSync(this.folder.root, { recursive: true, force: true });
    this.#release();
  }

  async #halt(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await Promise.all([this.#fleet.stop(), this.#loop]);
    await this.#fleet.stop();
  }

  /** The faults of the new declaration, from a plan of this moment. */
  #outcome({ resources, places }: Exclude<Loaded, { faults: unknown }>, notes: string[]): ApplyOutcome {
    const before = faultsIn(this.#rounds.conditions);
    this.#settled = false;
    const desired = this.#desired();
    this.#note(plan(desired, this.#observe(), this.#clock.wallMs()));
    this.#wake();
    const taken = { desired, observed: this.#observed, conditions: this.#rounds.conditions, places, before };
    return { refused: [], taken: resources.map(keyOf), absent: [], faults: faultsAfter(taken), notes };
  }

  #desired(): Desired {
    return desiredOf(this.#settings.federation, this.#store.declared);
  }

  #observe(): Observed {
    const knownFederation = existsSync(this.folder.identity) ? readFileSync(this.folder.identity, "utf8").trim() : "";
    this.#observed = observedOf({
      workloads: this.#fleet.workloads,
      replies: this.#questions.replies,
      knownFederation,
      conditions: this.#rounds.conditions,
      refusedRules: this.#executor.refusedRules,
    });
    return this.#observed;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      if (!this.#holds()) {
        this.#report(`${this.folder.root} is gone or another's: stopping`);
        // Who stops waits for this loop.
        void this.stop();
        break;
      }
      try {
        await this.#round();
      } catch (error) {
        if (!this.#stopping) this.#report(`a round failed: ${messageOf(error)}`);
      }
      for (const told of [...this.#waiting]) told();
      if (!this.#stopping) await this.#pause(this.#settled || this.#rounds.quiet > quietRoundsMax ? idleMs : busyMs);
    }
    for (const told of [...this.#waiting]) told();
  }

  /** Whoever removed the folder, or put another in its place, wants this one no more. */
  #holds(): boolean {
    return claimant(this.folder)?.pid === process.pid;
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(delayMs, resolve);
      this.#wake = () => {
        this.#rounds.quiet = 0;
        timer.cancel();
        resolve();
      };
    });
  }

  async #round(): Promise<void> {
    await this.#renewal.look();
    await this.#questions.ask(this.#desired(), this.#fleet.workloads);
    for (const box of this.#questions.replies.keys()) this.#fleet.confirm(box);
    if (this.#stopping) return;
    const desired = this.#desired();
    const observed = this.#observe();
    if (observed.bootstrapped && observed.knownFederation === "")
      writePrivate(this.folder.identity, `${this.#settings.federation}\n`);
    const actions = plan(desired, observed, this.#clock.wallMs());
    this.#note(actions);
    const deeds = actions.filter((action) => action.type !== "raiseCondition");
    for (const action of deeds) {
      if (this.#stopping) return;
      if (action.type === "ensureWorkload") await this.#fleet.ensure(action.box, desired);
      if (action.type === "removeWorkload") await this.#removeBox(action.box);
    }
    // Some calls wait for elections; the world is looked at all the while.
    if (deeds.length === 0 && this.#executing === undefined) this.#executor.rest(desired);
    if (deeds.length > 0) {
      const beganMs = this.#clock.now();
      this.#executing ??= this.#executor.run(deeds, { desired, observed }).finally(() => {
        this.#executing = undefined;
        // Deeds that are refused, or wait for their pace, end at once: they must not call the next round by themselves.
        if (this.#clock.now() - beganMs >= busyMs) this.#wake();
      });
    }
    this.#forgetEnded(desired, observed);
    this.#publish(desired);
    this.#settled = deeds.length === 0 && !this.#rounds.isMoving && this.#allKnowTheMap(observed);
  }

  /** Until then a box answers NO_ZONE, or by older rules, for paths that are ready elsewhere. */
  #allKnowTheMap(observed: Observed): boolean {
    return [...this.#questions.replies].every(
      ([box, { epoch }]) => !observed.registered.has(box) || epoch >= observed.epoch,
    );
  }

  #note(actions: readonly Action[]): void {
    const declared = new Set(this.#store.declared.map(({ resource }) => keyOf(resource)));
    for (const { object, condition } of this.#rounds.note(actions, (key) => declared.has(key)))
      if (condition.type === "Ready") this.#report(`${object}: ${condition.message}`);
  }

  async #removeBox(box: string): Promise<void> {
    await this.#fleet.remove(box);
    await this.#renewal.forget(box);
  }

  #forgetEnded(desired: Desired, observed: Observed): void {
    if (!observed.systemServes) return;
    const now = this.#clock.wallMs();
    for (const { resource, deleted } of this.#store.declared) {
      if (!deleted) continue;
      const zone = resource.kind === "ConsensusZone" ? desired.zones.get(resource.metadata.name) : undefined;
      const over = zone && now >= zone.retiredAtMs + zone.retentionMs && !observed.logs.has(zone.name);
      if (over || resource.kind === "Mount") this.#store.forget(resource.kind, resource.metadata.name);
    }
    for (const { name, deleted } of desired.boxes.values()) {
      const kept = observed.registered.has(name) && !this.#executor.refused(`removeBox ${name}`);
      if (deleted && !observed.workloads.has(name) && !kept) this.#store.forget("Box", name);
    }
  }

  /** Where clients find the federation now. */
  #publish(desired: Desired): void {
    const endpoints = [...this.#fleet.workloads]
      .filter(([box]) => desired.boxes.get(box)?.role === "Data")
      .map(([, workload]) => workload.clientEndpoint);
    if (endpoints.length > 0) writeContext(this.folder, { ...this.#context, endpoints });
  }

  #report(line: string): void {
    this.#settings.report?.(line);
  }
}
