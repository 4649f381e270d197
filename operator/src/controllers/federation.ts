// One federation: the namespace it lives in. The problem: boxes, groups and zones depend on each other in both
// directions, and half of the truth is in the boxes, not in Kubernetes. Why not a controller a kind: each would see a
// part, and two of them could take two members of one log away at once. The sketch: one key, the namespace; every round
// reads all objects from the caches and asks every box for its status, plans the whole with the pure planner that local
// processes use, makes the objects that are asked for, executes the plan's deeds through the boxes, and reports; a
// round that was cut short anywhere is simply done again.
import type { Clock, Random } from "@nexus-federation/node/base/clock.ts";
import { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import { isAsked, pauseAnnotation } from "../api/annotations.ts";
import { AuthorityRotation } from "../backends/kubernetes/authority-rotation.ts";
import { type BoxWish, type Images, KubeFleet, type Surroundings } from "../backends/kubernetes/fleet.ts";
import { Identities, isOwn } from "../backends/kubernetes/identities.ts";
import { operatorCertificateName, uidsName } from "../backends/kubernetes/names.ts";
import { refusedFields } from "../backends/kubernetes/pod-template.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import { endpointsOf, workloadOf } from "../backends/kubernetes/workloads.ts";
import { Admin } from "../backends/shared/admin.ts";
import { Executor, isAdminAction } from "../backends/shared/execute.ts";
import { observedOf } from "../backends/shared/observe.ts";
import { Rounds } from "../backends/shared/rounds.ts";
import { askStatuses } from "../backends/shared/statuses.ts";
import type { Action } from "../planner/actions.ts";
import { type Desired, type DesiredBox, desiredOf } from "../planner/desired.ts";
import { blockedBy, zonesNeedingDisk } from "../planner/disruptions.ts";
import { federationKey } from "../planner/faults.ts";
import type { Observed, ObservedWorkload, Obstacle } from "../planner/observed.ts";
import { namedBoxes, plan } from "../planner/plan.ts";
import type { EventSink, KubeClient, Log, Outcome } from "../runtime/api.ts";
import type { Applier } from "../runtime/applier.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { type Declarations, declarationsOf } from "./declared.ts";
import { Finalizers } from "./finalizers.ts";
import { type Keepsake, KeepsakeStore, nothingKept, remembered } from "./keepsake.ts";
import { aboutOf, noteOf } from "./notes.ts";
import { obstaclesOf } from "./obstacles.ts";
import { Reporter } from "./reporter.ts";

export interface FederationNeeds {
  namespace: string;
  /** Ends with this operator's time in office. */
  client: KubeClient;
  applier: Applier;
  view: () => NamespaceView;
  clock: Clock;
  random: Random;
  events: EventSink;
  log: Log;
  images: Images;
  /** Whose boxes are run from here. */
  cluster: string;
  /** Look again soon. */
  wake: () => void;
  /** Where this process itself reaches a box; default: by its Services, as every pod does. */
  adminEndpoint?: ((box: string) => string) | undefined;
}

/** Time between two looks while something changes, while it does so for long, and while nothing does. */
const busyMs = 300;
const slowMs = 2_000;
const idleMs = 5_000;
/** While no box runs there is nobody to ask, and what happens in the cluster wakes by itself: only time may be news. */
const unaskedMs = 30_000;
/** Rounds without any news after which an unfinished federation is looked at less often. */
const quietRoundsMax = 100;
const unaskedQuietRoundsMax = 5;
const statusTimeoutMs = 1_500;
/** Boxes whose objects are made at once. */
const parallelBoxes = 8;

export class FederationController {
  readonly #needs: FederationNeeds;
  readonly #keepsakes: KeepsakeStore;
  readonly #finalizers: Finalizers;
  readonly #reporter: Reporter;
  #name = "";
  #fleet: KubeFleet | undefined;
  #identities: Identities | undefined;
  #rotation: AuthorityRotation | undefined;
  #admin: Admin | undefined;
  #executor: Executor | undefined;
  #executing: Promise<void> | undefined;
  readonly #rounds = new Rounds();
  /** What the last round of each box waited for. */
  #waits = new Map<string, string>();
  /** What the last round of each box was refused by the cluster. */
  #refused = new Map<string, Obstacle>();
  /** Boxes that were asked in the last round. */
  #asked = 0;
  #keepsake: Keepsake = nothingKept;
  #objects: ReadonlyMap<string, KubeObject> = new Map();

  constructor(needs: FederationNeeds) {
    this.#needs = needs;
    this.#keepsakes = new KeepsakeStore(needs.client, needs.namespace);
    this.#finalizers = new Finalizers(needs.client);
    this.#reporter = new Reporter(needs);
  }

  close(): void {
    this.#admin?.close();
  }

  /** Resolves when no call to a box is under way any more. */
  async idle(): Promise<void> {
    await this.#executing;
  }

  /** One round. */
  async reconcile(signal: AbortSignal): Promise<Outcome> {
    const view = this.#needs.view();
    if (view.terminating) {
      await this.#finalizers.releaseAll(view.own);
      return { kind: "done" };
    }
    this.#keepsake = this.#keepsakes.read(view.configMaps.get(uidsName));
    const found = declarationsOf(view, this.#keepsake, this.#needs.clock.wallMs());
    this.#objects = found.objects;
    if (found.objects.size === 0) return { kind: "done" };
    const desired = desiredOf(found.name, found.declared, this.#needs.cluster);
    if (!(await this.#prepare(found))) {
      await this.#reportLocked({ found, desired, view });
      return { kind: "retry", afterMs: slowMs, reason: "certificates are missing" };
    }
    const around = this.#around(found, desired, view);
    const workloads = this.#workloads(found, desired, { view, around });
    const replies = await this.#ask(desired, workloads);
    signal.throwIfAborted();
    const observed = this.#observe({ found, desired, view }, { workloads, replies });
    const actions = this.#isPaused(found) ? [] : plan(desired, observed, this.#needs.clock.wallMs());
    this.#rounds.note(actions, (key) => found.objects.has(key));
    if (isOwn(found.federation?.tls) && !this.#isPaused(found)) await this.#rotation?.round(view, workloads);
    await this.#act(actions, { found, desired, observed, view, around });
    await this.#remember(found, observed);
    const stays = (box: string) => this.#isPaused(found) || this.#staysKnown(box);
    await this.#finalizers.keep({ found, desired, observed, view, named: namedBoxes(desired, observed), stays });
    const federationUid = observed.logs.get(systemZone)?.uid ?? this.#keepsake.uids[systemZone] ?? "";
    const planned = this.#rounds.conditions;
    await this.#reporter.report({ found, desired, observed, view, replies, planned, federationUid });
    return { kind: "retry", afterMs: this.#pause(actions), reason: "the boxes are asked again" };
  }

  /** What can be said while the operator itself has no certificate: nothing of what the boxes know. */
  async #reportLocked(world: { found: Declarations; desired: Desired; view: NamespaceView }): Promise<void> {
    const reason = "CertificateMissing";
    const message = `The operator waits for its certificate: Secret ${operatorCertificateName} with ca.crt, tls.crt and tls.key for spiffe://${world.found.name}/operator/${this.#needs.cluster}.`;
    for (const key of world.found.objects.keys())
      this.#rounds.conditions.set(key, [
        { type: "Ready", status: "False", reason, message },
        { type: "Reconciling", status: "True", reason, message },
        { type: "Stalled", status: "False", reason, message },
      ]);
    const replies = new Map<string, StatusReply>();
    const observed = this.#observe(world, { workloads: new Map(), replies });
    const planned = this.#rounds.conditions;
    await this.#reporter.report({ ...world, observed, replies, planned, federationUid: "" });
  }

  /** Credentials and the parts that need them; false while somebody else has yet to issue the operator's certificate. */
  async #prepare(found: Declarations): Promise<boolean> {
    const { client, applier, clock, random, namespace, images, cluster } = this.#needs;
    const federation = this.#keepsake.federation || found.name;
    if (federation !== this.#name || this.#fleet === undefined) {
      const isFixed = () => this.#keepsake.federation !== "";
      const operator = cluster === "" ? "operator" : cluster;
      this.#identities = new Identities({ client, applier, clock, random, namespace, federation, operator, isFixed });
      const { events, log } = this.#needs;
      const now = () => clock.now();
      this.#rotation = new AuthorityRotation({ identities: this.#identities, federation, now, events, log });
      this.#fleet = new KubeFleet({ client, applier, identities: this.#identities, images });
      this.#admin?.close();
      this.#admin = undefined;
      this.#name = federation;
    }
    const own = await this.#identities?.operator(found.federation?.tls);
    if (own === undefined) return false;
    if (this.#admin === undefined) {
      this.#admin = new Admin(own, clock.wallMs, { federation, statusTimeoutMs });
      this.#executor = new Executor({
        admin: this.#admin,
        clock,
        random,
        holder: `operator/${cluster}`,
        report: (line) => this.#needs.log.debug({ namespace, line }, "deed"),
        done: (action, refusal) => this.#told(action, refusal),
      });
    } else this.#admin.reload(own);
    return true;
  }

  #around(found: Declarations, desired: Desired, view: NamespaceView): Surroundings {
    const peers = [...desired.boxes.values()]
      .filter((box) => box.role === "Data")
      .map((box) => ({ box: box.name, endpoint: this.#endpoints(found, box, view).peer }))
      .sort((a, b) => (a.box < b.box ? -1 : 1));
    return { federation: this.#name, spec: found.federation, peers };
  }

  #endpoints(found: Declarations, box: DesiredBox, view: NamespaceView) {
    const resource = found.resources.get(`Box/${box.name}`);
    if (resource?.kind !== "Box") return { peer: "", client: "" };
    const templates = found.federation?.clusters.find((each) => each.name === box.cluster);
    return endpointsOf({ name: box.name, namespace: view.namespace, spec: resource.spec }, templates);
  }

  #workloads(
    found: Declarations,
    desired: Desired,
    { view, around }: { view: NamespaceView; around: Surroundings },
  ): Map<string, ObservedWorkload> {
    const workloads = new Map<string, ObservedWorkload>();
    for (const box of desired.boxes.values()) {
      if (box.foreign) continue;
      const wish = wishOf(box.name, found, { stopped: false, evictable: false, mayReplaceVolume: false });
      const asked = wish && this.#fleet?.askedFor(wish, view, around);
      const endpoints = this.#endpoints(found, box, view);
      const adminEndpoint = this.#needs.adminEndpoint?.(box.name);
      const workload = workloadOf(box.name, view, { asked, endpoints, role: box.role, adminEndpoint });
      if (workload.exists || box.deleted) workloads.set(box.name, workload);
    }
    return workloads;
  }

  /** Status of every running data box, asked at once. */
  async #ask(desired: Desired, workloads: ReadonlyMap<string, ObservedWorkload>): Promise<Map<string, StatusReply>> {
    const answers = this.#admin === undefined ? [] : await askStatuses(this.#admin, desired, workloads);
    this.#asked = answers.length;
    const replies = new Map<string, StatusReply>();
    for (const [box, reply] of answers) {
      if (typeof reply === "object") replies.set(box, reply);
      else this.#needs.log.debug({ namespace: this.#needs.namespace, box, reason: reply }, "a box did not answer");
    }
    return replies;
  }

  #observe(
    { found, desired, view }: { found: Declarations; desired: Desired; view: NamespaceView },
    { workloads, replies }: { workloads: ReadonlyMap<string, ObservedWorkload>; replies: Map<string, StatusReply> },
  ): Observed {
    const refusedRules = this.#executor?.refusedRules;
    const knownFederation = this.#keepsake.federation;
    const seen = { workloads, replies, knownFederation, conditions: this.#rounds.conditions, refusedRules };
    const obstacles = new Map([...this.#refused, ...obstaclesOf({ found, desired, view, knownFederation })]);
    return { ...observedOf(seen), obstacles, waits: this.#waits };
  }

  async #act(
    actions: readonly Action[],
    world: { found: Declarations; desired: Desired; observed: Observed; view: NamespaceView; around: Surroundings },
  ): Promise<void> {
    const { found, desired, observed, view, around } = world;
    if (this.#isPaused(found)) return;
    const fleet = this.#fleet!;
    await fleet.ensureShared(view, around);
    const boxesOf = (type: Action["type"]) =>
      new Set(actions.flatMap((action) => (action.type === type && "box" in action ? [action.box] : [])));
    const [removed, stopped, evictable] = [
      boxesOf("removeWorkload"),
      boxesOf("stopWorkload"),
      boxesOf("allowEviction"),
    ];
    const kept = [...desired.boxes.values()].filter(
      (box) => !box.foreign && !removed.has(box.name) && !(box.deleted && !observed.workloads.get(box.name)?.exists),
    );
    const waits = new Map<string, string>();
    const refused = new Map<string, Obstacle>();
    const one = async ({ name }: DesiredBox) => {
      const mayReplaceVolume = observed.systemServes && zonesNeedingDisk(name, observed).length === 0;
      const flags = { stopped: stopped.has(name), evictable: evictable.has(name), mayReplaceVolume };
      const wish = wishOf(name, found, flags);
      if (wish === undefined || isAsked(wish.annotations, pauseAnnotation)) return;
      const outcome = await fleet.ensureBox(wish, view, around);
      if (outcome.waits !== undefined) waits.set(`Box/${name}`, outcome.waits);
      if (outcome.refused !== undefined) refused.set(`Box/${name}`, outcome.refused);
      if (outcome.written.length > 0)
        this.#needs.log.info({ namespace: view.namespace, box: name, written: outcome.written }, "objects applied");
    };
    for (let from = 0; from < kept.length; from += parallelBoxes)
      await Promise.all(kept.slice(from, from + parallelBoxes).map(one));
    this.#waits = waits;
    this.#refused = refused;
    for (const box of removed) await fleet.removeBox(box, view);
    await this.#restart(actions, { ...world, fleet });
    const deeds = actions.filter(isAdminAction).filter((action) => !this.#isHeld(action));
    if (deeds.length === 0 || this.#executor === undefined) return;
    this.#executing ??= this.#executor.run(deeds, { desired, observed }).finally(() => {
      this.#executing = undefined;
    });
  }

  /** Pods that are to be replaced, each looked at once more right before it goes. */
  async #restart(
    actions: readonly Action[],
    world: { found: Declarations; desired: Desired; observed: Observed; view: NamespaceView; around: Surroundings } & {
      fleet: KubeFleet;
    },
  ): Promise<void> {
    const { found, desired, observed, view, around, fleet } = world;
    for (const action of actions) {
      if (action.type !== "restartPod") continue;
      const { box, podUid } = action;
      const wish = wishOf(box, found, { stopped: false, evictable: false, mayReplaceVolume: false });
      const asked = wish && fleet.askedFor(wish, view, around);
      if (asked === undefined) continue;
      if (observed.workloads.get(box)?.running && observed.bootstrapped) {
        const replies = await this.#ask(desired, observed.workloads);
        const now = this.#observe(world, { workloads: observed.workloads, replies });
        const blocked = blockedBy(box, now);
        if (blocked !== "") {
          this.#needs.log.info({ namespace: view.namespace, box, blocked }, "a pod stays for now");
          continue;
        }
      }
      if (await fleet.restart(box, podUid, { view, asked })) this.#told(action, undefined);
    }
  }

  /** The object of the action is paused. */
  #isHeld(action: Action): boolean {
    const about = aboutOf(action);
    const object = about === undefined ? undefined : this.#objects.get(about);
    return isAsked(object?.metadata.annotations, pauseAnnotation);
  }

  /** The federation is not told that the box is gone, or was told in vain. */
  #staysKnown(box: string): boolean {
    const paused = isAsked(this.#objects.get(`Box/${box}`)?.metadata.annotations, pauseAnnotation);
    return paused || this.#executor?.refused(`removeBox ${box}`) === true;
  }

  #isPaused(found: Declarations): boolean {
    return isAsked(found.objects.get(federationKey)?.metadata.annotations, pauseAnnotation);
  }

  #told(action: Action, refusal: string | undefined): void {
    const { namespace, log, events, wake } = this.#needs;
    log.info({ namespace, action: { ...action, type: action.type }, refusal }, refusal ? "deed refused" : "deed done");
    const about = this.#objects.get(aboutOf(action) ?? "") ?? this.#objects.get(federationKey);
    if (about !== undefined) events.record(about, noteOf(action, refusal));
    if (refusal === undefined) wake();
  }

  async #remember(found: Declarations, observed: Observed): Promise<void> {
    const before = this.#keepsake;
    const zones = [...found.objects.keys()].filter((key) => key.startsWith("ConsensusZone/"));
    const next = remembered(before, {
      observed,
      declared: new Set(zones.map((key) => key.slice("ConsensusZone/".length))),
      retired: found.retired,
      clusters: found.clusters,
      federation: this.#name,
      nowMs: this.#needs.clock.wallMs(),
    });
    await this.#keepsakes.write(next, { before, federation: this.#name });
  }

  #pause(actions: readonly Action[]): number {
    const deeds = actions.some((action) => action.type !== "raiseCondition" && action.type !== "stopWorkload");
    const { quiet, isMoving } = this.#rounds;
    if (this.#asked === 0) return quiet > unaskedQuietRoundsMax ? unaskedMs : slowMs;
    if (!isMoving && !deeds) return idleMs;
    return quiet > quietRoundsMax ? slowMs : busyMs;
  }
}

function wishOf(
  name: string,
  found: Declarations,
  flags: Pick<BoxWish, "stopped" | "evictable" | "mayReplaceVolume">,
): BoxWish | undefined {
  const resource = found.resources.get(`Box/${name}`);
  const object = found.objects.get(`Box/${name}`);
  if (resource?.kind !== "Box" || object === undefined) return undefined;
  const { spec } = resource;
  const refused = refusedFields(spec.podTemplate ?? {}).length > 0;
  // The rest of the box goes on as asked; what is refused is not merged.
  const usable = refused ? { ...spec, podTemplate: undefined } : spec;
  const { annotations } = resource.metadata;
  return { name, uid: object.metadata.uid ?? "", spec: usable, annotations, ...flags };
}
