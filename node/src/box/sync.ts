import { type LogRecord, ZoneRule } from "@nexus-federation/proto/records.ts";
import { noBytes } from "../base/bytes.ts";
import type { Clock, Random, Timer } from "../base/clock.ts";
import { isRefusal } from "../base/errors.ts";
import type { Groups } from "../group/api.ts";
import { systemLog, systemZone } from "../tree/system-zone.ts";
import { noOptions } from "./ask.ts";
import { type Directory, type DirectoryState, restoringState } from "./directory.ts";
import type { BoxLog, Forward, SystemSource } from "./ports.ts";

/** Pause between two polls of a box without a replica of the system zone, ms. */
const pollMs = 500;
/** A poll that is not answered by then is given up, ms. */
const pollTimeoutMs = 1_000;
/** After reading the replica for news it is left alone for so long for each rule, ms: reading takes a tenth of that. */
const restMsPerRule = 0.2;
/** Polls on demand (a newer map was heard of) come no faster, ms. */
const demandMs = 20;
/** Time for the holders of the system zone to say what they have, before a path counts as one without a rule, ms. */
const latestMs = 500;

export interface SyncNeeds {
  self: string;
  directory: Directory;
  source: SystemSource;
  groups: Groups;
  forward: Forward;
  /** Boxes to ask before any map is known. */
  seeds: readonly string[];
  clock: Clock;
  random: Random;
  log: BoxLog;
}

/**
 * Keeps the directory current: from the local replica of the system zone, else by asking a peer. Losing all of them
 * changes nothing here but that no news comes.
 */
export class DirectorySync {
  readonly #needs: SyncNeeds;
  #timer: Timer | undefined;
  #asking = false;
  /** Who waits for the answers under way, and who came after they were asked for. */
  #latest: { waiting: (() => void)[]; later: (() => void)[] } | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;
  /** What the replica was when it was read last. */
  #read = { revision: -1, configIndex: -1, generation: -1 };
  #readMs = Number.NEGATIVE_INFINITY;
  /** News that waits until the replica may be read again. */
  #later: Timer | undefined;

  constructor(needs: SyncNeeds) {
    this.#needs = needs;
    needs.source.onSystemChanged(() => this.#fromReplicaSoon());
    needs.groups.onLeadership((log) => {
      if (log === systemLog) this.#fromReplica();
    });
  }

  start(): void {
    this.#tick();
  }
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#later?.cancel();
  }

  /** A newer map was heard of: ask for it, but not in a storm. */
  refresh(heardEpoch: number): void {
    this.#fromReplica();
    const { directory, clock } = this.#needs;
    if (directory.epoch >= heardEpoch || this.#asking || this.#stopped) return;
    if (clock.now() - this.#askedAt >= demandMs) this.#poll();
  }

  /**
   * Calls `done` once when all holders of the system zone have said what they have: its leader among them, so that a rule
   * that was acknowledged to anybody before the call is known after it. At the latest after `latestMs`.
   */
  latest(done: () => void): void {
    this.#fromReplica();
    if (this.#latest !== undefined) this.#latest.later.push(done);
    else this.#askAll([done]);
  }

  #askAll(waiting: (() => void)[]): void {
    const { directory, forward, self, clock } = this.#needs;
    const latest = { waiting, later: [] as (() => void)[] };
    this.#latest = latest;
    const system = directory.map.rules.find((rule) => rule.zone === systemZone);
    const holders = (system?.members ?? []).filter((box) => box !== self && forward.isUp(box));
    let owed = holders.length;
    const ended = () => {
      for (const done of latest.waiting.splice(0)) done();
      clock.after(demandMs, () => {
        this.#latest = undefined;
        if (latest.later.length > 0) this.#askAll(latest.later);
      });
    };
    for (const box of holders) {
      this.#ask(box, latestMs, () => {
        owed--;
        if (owed === 0) ended();
      });
    }
    if (holders.length === 0) clock.soon(ended);
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#fromReplica();
    if (!this.#asking && this.#needs.source.system() === undefined) this.#poll();
    this.#timer = this.#needs.clock.after(pollMs, () => this.#tick());
  }

  /** A thousand zones that are made one by one must not mean a thousand maps of a thousand zones. */
  #fromReplicaSoon(): void {
    const { clock, directory } = this.#needs;
    if (this.#later !== undefined || this.#stopped) return;
    const waitMs = Math.ceil(this.#readMs + directory.map.rules.length * restMsPerRule - clock.now());
    if (waitMs <= 0) return this.#fromReplica();
    this.#later = clock.after(waitMs, () => {
      this.#later = undefined;
      this.#fromReplica();
    });
  }

  /** Reads the replica only when it has news. */
  #fromReplica(): void {
    const { source, groups, directory, clock } = this.#needs;
    if (replicaRevision(source, groups) <= directory.revision || !this.#isChanged()) return;
    const state = replicaState(source, groups);
    this.#readMs = clock.now();
    if (state !== undefined) this.#install(state);
  }

  /** Most entries of the system zone change nothing that the directory shows. */
  #isChanged(): boolean {
    const { source, groups } = this.#needs;
    const revision = source.system()?.revision;
    const view = groups.view(systemLog);
    if (revision === undefined || view === undefined) return true;
    const { configIndex } = view.config;
    const { generation } = view;
    const read = this.#read;
    if (read.revision === revision && read.configIndex === configIndex && read.generation === generation) return false;
    this.#read = { revision, configIndex, generation };
    return true;
  }

  #install(state: DirectoryState): void {
    const installed = this.#needs.directory.install(state);
    if (isRefusal(installed)) {
      this.#needs.log.warn("a rule map was refused", { epoch: state.map.epoch, reason: installed.message });
    }
  }

  #poll(): void {
    const { self, forward, directory, clock, random, seeds } = this.#needs;
    const known = directory.boxes.filter((box) => box.role !== "Witness").map((box) => box.name);
    const peers = [...new Set([...known, ...seeds])].filter((box) => box !== self && forward.isUp(box));
    const peer = peers[Math.floor(random.unit() * peers.length)];
    if (peer === undefined) return;
    this.#asking = true;
    this.#askedAt = clock.now();
    this.#ask(peer, pollTimeoutMs, () => {
      this.#asking = false;
    });
  }

  /** Installs what the box has, when that is newer; then calls `done`, whatever came of it. */
  #ask(box: string, timeoutMs: number, done: () => void): void {
    const { self, forward, directory } = this.#needs;
    const op = { $case: "readMap" as const, value: { knownEpoch: directory.epoch, knownRevision: directory.revision } };
    const request = { id: 0, options: { ...noOptions, hops: [self] }, zone: "", op };
    forward.send(box, request, timeoutMs, (outcome) => {
      if (outcome.kind === "answer" && outcome.response.result?.$case === "hello") {
        const { revision, map, boxes } = outcome.response.result.value;
        if (map !== undefined) this.#install({ revision, map, boxes });
      }
      done();
    });
  }
}

/** The directory that the local replica of the system zone shows; undefined without one. */
function replicaState(source: SystemSource, groups: Groups): DirectoryState | undefined {
  const system = source.system();
  const view = groups.view(systemLog);
  if (system === undefined || view === undefined) return undefined;
  const revision = replicaRevision(source, groups);
  const map = system.ruleMap();
  const bound = new Set(map.rules.map((rule) => rule.zone));
  const unbound = system.logs().filter((log) => log.state !== "destroyed" && !bound.has(log.zone));
  const members = view.config.members.filter((member) => member.role !== "witness").map((member) => member.box);
  const rules = [...map.rules, ...unbound.map(ruleWithoutPattern), systemRule(members, view.generation)];
  return { revision, map: { epoch: map.epoch, rules }, boxes: system.boxes() };
}

/** Of the last change that the local replica of the system zone shows; 0 without one. */
function replicaRevision(source: SystemSource, groups: Groups): number {
  const view = groups.view(systemLog);
  return view === undefined ? 0 : Math.max(source.systemRevision(), view.config.configIndex);
}

/** A zone that no rule binds: reached by name only, by hand-overs and admin calls. */
function ruleWithoutPattern(log: LogRecord): ZoneRule {
  const members = log.members.filter((member) => member.role !== "witness").map((member) => member.box);
  const state = log.restoring ? restoringState : "detached";
  return { ...bareRule, zone: log.zone, log: log.log, generation: log.generation, members, state };
}

function systemRule(members: string[], generation: number): ZoneRule {
  return { ...bareRule, zone: systemZone, log: systemLog, generation, members, state: "active" };
}

const bareRule: ZoneRule = { ...ZoneRule.decode(noBytes), mode: "strong_ha" };
