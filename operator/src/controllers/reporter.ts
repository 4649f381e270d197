import type { Clock } from "@nexus-federation/node/base/clock.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Condition } from "../api/conditions.ts";
import { apiVersion, type Kind, type Resource } from "../api/kinds.ts";
import type { NamespaceView } from "../backends/kubernetes/view.ts";
import type { Desired } from "../planner/desired.ts";
import type { Observed } from "../planner/observed.ts";
import type { Applier } from "../runtime/applier.ts";
import { mergeConditions, type StatusCondition } from "../runtime/conditions.ts";
import { isKubeError } from "../runtime/kube-error.ts";
import type { KubeObject } from "../runtime/objects.ts";
import { ownTypes } from "../runtime/resource-types.ts";
import { conditionsFor } from "./conditions.ts";
import type { Declarations } from "./declared.ts";
import { RuleEpochs } from "./rule-epochs.ts";
import { statusOf } from "./status.ts";

export interface ReportWorld {
  found: Declarations;
  desired: Desired;
  observed: Observed;
  view: NamespaceView;
  replies: ReadonlyMap<string, StatusReply>;
  planned: ReadonlyMap<string, readonly Condition[]>;
  /** Of the federation, drawn at its bootstrap; empty before. */
  federationUid: string;
}

/** Statuses that are written at once. */
const parallelWrites = 8;

/** Writes each object's status when it says something else than before. */
export class Reporter {
  readonly #needs: { applier: Applier; clock: Clock };
  readonly #epochs = new RuleEpochs();

  constructor(needs: { applier: Applier; clock: Clock }) {
    this.#needs = needs;
  }

  async report(world: ReportWorld): Promise<void> {
    const all = [...world.found.objects];
    for (let from = 0; from < all.length; from += parallelWrites)
      await Promise.all(all.slice(from, from + parallelWrites).map(([key, object]) => this.#write(key, object, world)));
  }

  async #write(key: string, object: KubeObject, world: ReportWorld): Promise<void> {
    const kind = object.kind as Kind;
    const resource = world.found.resources.get(key);
    const wanted = conditionsOf(key, resource, world);
    if (wanted.length === 0) return;
    const generation = object.metadata.generation ?? 0;
    const before = (object.status as { conditions?: StatusCondition[] } | undefined)?.conditions;
    const { applier, clock } = this.#needs;
    const epochOf = (zone: string, of: KubeObject) => this.#epochs.of(zone, of, world.observed);
    const status = {
      observedGeneration: generation,
      conditions: mergeConditions(before, wanted, { wallMs: clock.wallMs(), generation }),
      ...(resource === undefined ? {} : statusOf(resource, object, { ...world, epochOf })),
    };
    const { name, namespace, uid } = object.metadata;
    const intent = { apiVersion, kind, metadata: { name, namespace, uid }, status } as KubeObject;
    try {
      await applier.applyStatus(ownTypes[kind], intent, object);
    } catch (error) {
      // Another object by now, or none: the next round sees it.
      if (!isKubeError(error, "CONFLICT", "NOT_FOUND")) throw error;
    }
  }
}

/** An object that this version does not understand says so and nothing else. */
function conditionsOf(key: string, resource: Resource | undefined, world: ReportWorld): Condition[] {
  if (resource !== undefined) return conditionsFor(key, world);
  const { reason, message } = world.found.misread.get(key) ?? {
    reason: "NotUnderstood",
    message: "It is not understood.",
  };
  return [
    { type: "Ready", status: "False", reason, message },
    { type: "Reconciling", status: "False", reason, message },
    { type: "Stalled", status: "True", reason, message },
  ];
}
