// Actions to admin calls. Paced by subject: the same deed is not tried again before its effect could have been seen, and
// a refused one ever later, so that an impossible wish costs next to nothing.
import { Backoff } from "@nexus-federation/node/base/backoff.ts";
import { fromHex, noBytes } from "@nexus-federation/node/base/bytes.ts";
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { featureLevel } from "@nexus-federation/node/base/version.ts";
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { BoxRecord, ZoneRule } from "@nexus-federation/proto/records.ts";
import { type Action, subjectOf } from "../../planner/actions.ts";
import type { Desired } from "../../planner/desired.ts";
import type { Observed, ObservedRule, RefusedRule } from "../../planner/observed.ts";
import type { Admin } from "./admin.ts";
import { RefusedRules } from "./refused-rules.ts";

export interface World {
  desired: Desired;
  observed: Observed;
}

/** Why a deed failed last. */
export interface Problem {
  subject: string;
  message: string;
}

/** Time in which the effect of a deed should be seen. */
const settleMs = 1000;
/** A zone is destroyed only on a plan younger than this: meanwhile it may have been declared again. */
const destroyPlanMs = 5000;
const retry = { firstMs: 250, maxMs: 5000, factor: 2 };

/** What the backend does by itself, without a call to a box. */
const backendTypes = [
  "ensureWorkload",
  "removeWorkload",
  "stopWorkload",
  "restartPod",
  "allowEviction",
  "raiseCondition",
] as const;
type AdminAction = Exclude<Action, { type: (typeof backendTypes)[number] }>;
type Bootstrap = Extract<Action, { type: "bootstrap" }>;
type ProposeMembership = Extract<Action, { type: "proposeMembership" }>;

export function isAdminAction(action: Action): action is AdminAction {
  return !(backendTypes as readonly string[]).includes(action.type);
}

/** A box that is away on purpose longer than this gives its turn up, ms. */
const disruptionTtlMs = 15 * 60_000;

export interface ExecutorNeeds {
  admin: Pick<Admin, "change">;
  clock: Clock;
  random: Random;
  /** Told each deed as it is done or refused, one line each. */
  report: (line: string) => void;
  /** In whose name the disruption lock is held. */
  holder?: string;
  /** Told each deed that is done, and each refusal (a sentence) when it is new. */
  done?: (action: Action, refusal: string | undefined) => void;
}

export class Executor {
  readonly #admin: Pick<Admin, "change">;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #report: (line: string) => void;
  readonly #holder: string;
  readonly #done: NonNullable<ExecutorNeeds["done"]>;
  readonly #pace = new Map<string, { notBeforeMs: number; backoff: Backoff; problem: string }>();
  readonly #refused: RefusedRules;

  constructor(needs: ExecutorNeeds) {
    this.#admin = needs.admin;
    this.#clock = needs.clock;
    this.#random = needs.random;
    this.#report = needs.report;
    this.#holder = needs.holder ?? "";
    this.#done = needs.done ?? (() => {});
    this.#refused = new RefusedRules(needs.clock, needs.random);
  }

  /** Rules that the boxes refused, by zone. */
  get refusedRules(): ReadonlyMap<string, RefusedRule> {
    return this.#refused.view;
  }

  /** Deeds that were refused or failed and are still wanted. */
  get problems(): Problem[] {
    return [...this.#pace].flatMap(([subject, { problem }]) => (problem === "" ? [] : [{ subject, message: problem }]));
  }

  /** Whether the deed was refused or failed last. */
  refused(subject: string): boolean {
    return (this.#pace.get(subject)?.problem ?? "") !== "";
  }

  /** Executes what is due: federation-wide deeds in order, logs beside each other, the rule map last. */
  async run(actions: readonly Action[], world: World): Promise<void> {
    const wanted = actions.filter(isAdminAction);
    const plannedMs = this.#clock.now();
    const subjects = new Set(wanted.map(subjectOf));
    this.#refused.keep(world.desired.zones);
    for (const subject of this.#pace.keys()) if (!subjects.has(subject)) this.#pace.delete(subject);
    const phases: AdminAction[][] = [[], [], []];
    for (const action of wanted) phases[phaseOf(action)]!.push(action);
    for (const action of phases[0]!) await this.#try(action, world);
    const old = this.#clock.now() - plannedMs > destroyPlanMs;
    const fresh = old ? phases[1]!.filter(({ type }) => type !== "destroyZone") : phases[1]!;
    await Promise.all(fresh.map((action) => this.#try(action, world)));
    for (const action of phases[2]!) await this.#try(action, world);
  }

  /** Nothing is to be done now: what was refused before and is wanted no more is forgotten. */
  rest(desired: Desired): void {
    this.#refused.keep(desired.zones);
    if (this.#refused.view.size === 0) this.#pace.clear();
  }

  async #try(action: AdminAction, world: World): Promise<void> {
    const subject = subjectOf(action);
    const pace = this.#pace.get(subject) ?? { notBeforeMs: 0, backoff: new Backoff(this.#random, retry), problem: "" };
    this.#pace.set(subject, pace);
    if (this.#clock.now() < pace.notBeforeMs) return;
    try {
      await this.#execute(action, world);
      this.#report(subject);
      this.#done(action, undefined);
      if (action.type === "installRules") this.#refused.installed(action);
      pace.problem = "";
      pace.notBeforeMs = this.#clock.now() + settleMs;
    } catch (error) {
      if (action.type === "installRules") this.#refused.failed(action, error, world.observed.rules);
      if (pace.problem !== messageOf(error)) {
        this.#report(`${subject}: ${messageOf(error)}`);
        this.#done(action, messageOf(error));
      }
      pace.problem = messageOf(error);
      pace.notBeforeMs = this.#clock.now() + pace.backoff.nextMs();
    }
  }

  /** Makes the call that the deed stands for. Throws NexusError: what the box refused, or that it cannot be reached. */
  async #execute(action: AdminAction, world: World): Promise<void> {
    const { observed } = world;
    const to = (box: string) => ({ box, endpoint: peerEndpoint(observed, box) });
    const system = () => to(observed.logs.get(systemZone)?.leader ?? "");
    switch (action.type) {
      case "bootstrap":
        await this.#admin.change(to(action.on), "bootstrap", founding(action, world));
        return;
      case "registerBox":
        await this.#admin.change(system(), "registerBox", { box: recordOf(action.box, world) });
        return;
      case "removeBox": {
        const { box, incarnation } = action;
        const request = { box, incarnation: Buffer.from(fromHex(incarnation) ?? noBytes), mayReturn: true };
        await this.#admin.change(system(), "removeBox", request);
        return;
      }
      case "ensureZone": {
        const { zone, members, timing, group } = action;
        const rule = wireRule(action.rule, observed);
        await this.#admin.change(system(), "ensureZone", { zone, members, timing, group, rule });
        return;
      }
      case "installRules": {
        const rules = action.rules.map((rule) => wireRule(rule, observed));
        await this.#admin.change(system(), "installRules", { expectedEpoch: action.expectedEpoch, rules });
        return;
      }
      case "proposeMembership":
        await this.#admin.change(to(action.leader), "proposeMembership", proposal(action, observed));
        return;
      case "recover": {
        const { zone, uid, epoch, abandoned } = action;
        const request = { zone, uid, epoch, abandoned: diskIds(abandoned), acceptDataLoss: true };
        await this.#admin.change(to(action.on), "recover", request);
        return;
      }
      case "transfer":
        await this.#admin.change(to(action.from), "transfer", { zone: action.zone, box: action.to });
        return;
      case "acquireDisruption":
      case "releaseDisruption": {
        const release = action.type === "releaseDisruption";
        const request = { box: action.box, holder: this.#holder, ttlMs: disruptionTtlMs, release };
        await this.#admin.change(system(), "disruption", request);
        return;
      }
      case "setDrain":
        await this.#admin.change(to(action.box), "drain", { on: action.on });
        return;
      case "destroyZone":
        await this.#admin.change(system(), "destroyZone", {
          zone: action.zone,
          confirm: action.zone,
          abandoned: diskIds(action.abandoned ?? []),
        });
    }
  }
}

function founding({ members, timing }: Bootstrap, world: World) {
  const boxes = members.map(({ box }) => recordOf(box, world));
  return { federation: world.desired.federation, members, timing, boxes };
}

function proposal({ zone, revision, hash, members, expectedConfigIndex }: ProposeMembership, observed: Observed) {
  const withDisks = members.map((member) => ({ ...member, incarnation: diskOf(member.box, observed) }));
  return { zone, revision, hash, members: withDisks, expectedConfigIndex };
}

function diskIds(incarnations: readonly string[]): Buffer[] {
  return incarnations.map((one) => Buffer.from(fromHex(one) ?? noBytes));
}

function phaseOf(action: AdminAction): 0 | 1 | 2 {
  if (action.type === "bootstrap" || action.type === "registerBox" || action.type === "recover") return 0;
  return action.type === "installRules" ? 2 : 1;
}

/** The disk that was meant when the declaration was planned; undefined for a witness, which has none. */
function diskOf(box: string, observed: Observed): Buffer | undefined {
  const disk = fromHex(observed.registered.get(box)?.incarnation ?? "");
  return disk && disk.length > 0 ? Buffer.from(disk) : undefined;
}

function peerEndpoint(observed: Observed, box: string): string {
  const workload = observed.workloads.get(box);
  const endpoint = workload?.adminEndpoint ?? workload?.peerEndpoint ?? observed.registered.get(box)?.peerEndpoint;
  if (!endpoint) throw new NexusError("ZONE_UNAVAILABLE", `no address of box "${box}" is known`);
  return endpoint;
}

function recordOf(name: string, { desired, observed }: World): BoxRecord {
  const box = desired.boxes.get(name);
  const workload = observed.workloads.get(name);
  return {
    name,
    incarnation: Buffer.from(fromHex(observed.boxes.get(name)?.incarnation ?? "") ?? noBytes),
    region: box?.region ?? "",
    role: box?.role ?? "Data",
    peerEndpoint: workload?.peerEndpoint ?? "",
    clientEndpoint: workload?.clientEndpoint ?? "",
    featureLevel,
    cluster: box?.cluster ?? "default",
  };
}

/** Generation and members as the log says them now, else as the map had them. */
function wireRule(rule: ObservedRule, observed: Observed): ZoneRule {
  const log = observed.logs.get(rule.zone);
  const full = log && [...log.members].filter(([, member]) => member.role !== "witness").map(([box]) => box);
  return {
    ...rule,
    regions: [...rule.regions],
    generation: log?.generation ?? rule.generation,
    members: full ?? [...rule.members],
  };
}
