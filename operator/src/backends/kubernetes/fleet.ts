// The boxes of one namespace as Kubernetes objects. The problem: a dozen objects a box must appear in an order (a volume
// before the pod that names its uid), survive a crash between any two writes, and cost nothing while nothing changes.
// The sketch: every round builds all manifests anew from pure functions, compares them with what the caches show, and
// applies only those that differ; every write is idempotent, so a round that was cut short is simply done again.
import { createHash } from "node:crypto";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import { amountOf } from "../../api/amount.ts";
import { replaceVolumeAnnotation } from "../../api/annotations.ts";
import type { BoxSpec } from "../../api/box.ts";
import type { FederationSpec } from "../../api/federation.ts";
import type { Obstacle } from "../../planner/observed.ts";
import type { KubeClient } from "../../runtime/api.ts";
import type { Applier } from "../../runtime/applier.ts";
import { deleteIf } from "../../runtime/destructive.ts";
import { isKubeError } from "../../runtime/kube-error.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { type ResourceType, resourceTypes } from "../../runtime/resource-types.ts";
import {
  budgetOf,
  clientServiceOf,
  configMapOf,
  federationServiceOf,
  peerServiceOf,
  statefulSetOf,
  volumeClaimOf,
  volumeSize,
} from "./children.ts";
import type { Identities } from "./identities.ts";
import type { BoxModel } from "./model.ts";
import {
  accessName,
  boxAccountName,
  boxLabel,
  budgetName,
  certificateName,
  clientServiceName,
  configName,
  federationServiceName,
  inNamespace,
  labelsOf,
  peerServiceName,
  pinnedImageAnnotation,
  podName,
  statefulSetName,
  tokenName,
  volumeClaimName,
} from "./names.ts";
import { askedAnnotation, askedOf } from "./pod.ts";
import { containerName } from "./pod-template.ts";
import { at, type NamespaceView } from "./view.ts";

/** Images for boxes that name none. */
export interface Images {
  node: string;
  witness: string;
  pullSecrets: readonly string[];
}

export interface BoxWish {
  name: string;
  uid: string;
  spec: BoxSpec;
  annotations: Readonly<Record<string, string>>;
  stopped: boolean;
  evictable: boolean;
  /** A lost volume may be replaced: no log needs the disk that is gone. */
  mayReplaceVolume: boolean;
}

export interface Surroundings {
  federation: string;
  spec: FederationSpec | undefined;
  peers: readonly { box: string; endpoint: string }[];
}

/** A refused growth is asked for again after so many rounds: about a minute while nothing else happens. */
const growAgainRounds = 12;

/** What became of one box in a round. */
export interface BoxOutcome {
  /** What is missing, one clause. */
  waits?: string;
  /** What only a person can help with; the rest of the box is as asked. */
  refused?: Obstacle;
  /** Objects that were written, "Kind/name". */
  written: string[];
}

export class KubeFleet {
  readonly #client: KubeClient;
  readonly #applier: Applier;
  readonly #identities: Identities;
  readonly #images: Images;
  #hasAccount = false;
  /** By box: a wish that nothing had to be written for, and all that it was compared with. */
  readonly #asAsked = new Map<string, AsAsked>();

  /** Refused growths, by claim: what was asked, the answer, and in how many rounds it is asked again. */
  readonly #ungrown = new Map<string, { asked: string; refused: Obstacle | undefined; rounds: number }>();

  constructor(needs: { client: KubeClient; applier: Applier; identities: Identities; images: Images }) {
    this.#client = needs.client;
    this.#applier = needs.applier;
    this.#identities = needs.identities;
    this.#images = needs.images;
  }

  /** What all boxes share. */
  async ensureShared(view: NamespaceView, { federation, spec }: Surroundings): Promise<void> {
    const { secrets, services, namespace } = view;
    const review = spec?.auth?.tokenReview;
    await this.#identities.token({ token: secrets.get(tokenName), access: secrets.get(accessName) }, review?.accounts);
    if (review !== undefined && !this.#hasAccount) await this.#ensureAccount(namespace, federation);
    const manifest = federationServiceOf(namespace, federation);
    await this.#applier.apply(resourceTypes.service, manifest, services.get(federationServiceName));
  }

  /** Account of boxes that ask about tokens; once a term of office. Somebody else's under that name serves as well. */
  async #ensureAccount(namespace: string, federation: string): Promise<void> {
    try {
      await this.#client.create(resourceTypes.serviceAccount, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: boxAccountName, namespace, labels: labelsOf(federation) },
        automountServiceAccountToken: false,
      });
    } catch (error) {
      if (!isKubeError(error, "ALREADY_EXISTS")) throw error;
    }
    this.#hasAccount = true;
  }

  /** Everything of one box as it is asked for now. Idempotent. */
  async ensureBox(wish: BoxWish, view: NamespaceView, around: Surroundings): Promise<BoxOutcome> {
    const written: string[] = [];
    const { name, uid, spec } = wish;
    const waits = await this.#identities.box({
      box: { name, uid, role: spec.role },
      tls: around.spec?.tls,
      cached: view.secrets.get(certificateName(name)),
    });
    if (waits !== undefined) return { waits, written };
    const volume = await this.#ensureVolume(wish, view, { federation: around.federation, written });
    if ("waits" in volume) return { waits: volume.waits, written };
    const { refused } = volume;
    const model = this.#modelOf(wish, view, { ...around, volumeUid: volume.uid });
    const asAsked = asAskedOf(model, view);
    if (!isSame(this.#asAsked.get(name), asAsked)) {
      await this.#applyChildren(model, view, written);
      if (written.length === 0) this.#asAsked.set(name, asAsked);
    }
    return { written, refused };
  }

  async #applyChildren(model: BoxModel, view: NamespaceView, written: string[]): Promise<void> {
    const one = async (type: ResourceType, manifest: KubeObject, cached: ReadonlyMap<string, KubeObject>) => {
      const done = await this.#applier.apply(type, manifest, cached.get(manifest.metadata.name));
      if (done.changed) written.push(`${manifest.kind}/${manifest.metadata.name}`);
    };
    await one(resourceTypes.configMap, configMapOf(model), view.configMaps);
    await one(resourceTypes.service, peerServiceOf(model), view.services);
    if (model.spec.role === "Data") await one(resourceTypes.service, clientServiceOf(model), view.services);
    await one(resourceTypes.podDisruptionBudget, budgetOf(model), view.budgets);
    await one(resourceTypes.statefulSet, statefulSetOf(model), view.statefulSets);
  }

  /** Digest of what the box's pod is to be; undefined before it has a volume. */
  askedFor(wish: BoxWish, view: NamespaceView, around: Surroundings): string | undefined {
    const volumeUid = view.claims.get(volumeClaimName(wish.name))?.metadata.uid;
    return volumeUid === undefined ? undefined : askedOf(this.#modelOf(wish, view, { ...around, volumeUid }));
  }

  /** Deletes everything of the box but its volume. True once nothing is left. */
  async removeBox(box: string, view: NamespaceView): Promise<boolean> {
    const pod = view.pods.get(podName(box));
    // The StatefulSet last: while it is there, a removal that was cut short is taken up again.
    const left = [
      [resourceTypes.podDisruptionBudget, view.budgets.get(budgetName(box))],
      [resourceTypes.service, view.services.get(peerServiceName(box))],
      [resourceTypes.service, view.services.get(clientServiceName(box))],
      [resourceTypes.configMap, view.configMaps.get(configName(box))],
      [resourceTypes.secret, view.secrets.get(certificateName(box))],
      [resourceTypes.statefulSet, view.statefulSets.get(statefulSetName(box))],
    ] as const;
    let any = pod !== undefined;
    this.#asAsked.delete(box);
    for (const [type, object] of left) {
      if (object === undefined || object.metadata.labels?.[boxLabel] !== box) continue;
      any = true;
      if (object.metadata.deletionTimestamp === undefined) await this.#delete(type, object);
    }
    return !any;
  }

  /** Deletes the pod if it is still that one, and still was made for something else; its StatefulSet makes the next. */
  async restart(
    box: string,
    podUid: string,
    { view, asked }: { view: NamespaceView; asked: string },
  ): Promise<boolean> {
    const pod = view.pods.get(podName(box));
    if (pod?.metadata.uid !== podUid) return false;
    const still = (live: KubeObject) => live.metadata.annotations?.[askedAnnotation] !== asked;
    return (await deleteIf(this.#client, { type: resourceTypes.pod, seen: pod, still })) === "deleted";
  }

  async #delete(type: ResourceType, object: KubeObject): Promise<void> {
    const { name, namespace, uid } = object.metadata;
    try {
      await this.#client.delete(type, { name, ...(namespace === undefined ? {} : { namespace }) }, { uid: uid ?? "" });
    } catch (error) {
      // Another object stands under the name by now: the next round sees it.
      if (!isKubeError(error, "CONFLICT", "NOT_FOUND")) throw error;
    }
  }

  /** The volume claim: made by the operator, owned by nobody, kept for good. */
  async #ensureVolume(
    wish: BoxWish,
    view: NamespaceView,
    { federation, written }: { federation: string; written: string[] },
  ): Promise<{ uid: string; refused?: Obstacle } | { waits: string }> {
    const { namespace } = view;
    const name = volumeClaimName(wish.name);
    const claim = view.claims.get(name);
    const former = formerVolume(view.statefulSets.get(statefulSetName(wish.name)));
    if (claim !== undefined) {
      const uid = claim.metadata.uid ?? "";
      if (at(claim, "status", "phase") === "Lost")
        return { waits: `volume claim ${name} has lost its volume: delete the claim once the disk is gone for good` };
      return { uid, refused: await this.#grow(wish, claim, written) };
    }
    const consent = wish.annotations[replaceVolumeAnnotation] === former;
    if (former !== "" && !consent && !wish.mayReplaceVolume)
      return {
        waits: `volume claim ${name} (${former}) is gone and a log cannot go on without what it held: bring it back, or consent to a new disk with the annotation ${replaceVolumeAnnotation}: ${former}`,
      };
    const manifest = volumeClaimOf({ name: wish.name, namespace, federation, spec: wish.spec });
    written.push(`PersistentVolumeClaim/${name}`);
    try {
      const made = await this.#client.create(resourceTypes.persistentVolumeClaim, manifest);
      return { uid: made.metadata.uid ?? "" };
    } catch (error) {
      if (!isKubeError(error, "ALREADY_EXISTS")) throw error;
      const there = await this.#client.get(resourceTypes.persistentVolumeClaim, inNamespace(namespace, name));
      return there?.metadata.uid ? { uid: there.metadata.uid } : { waits: `volume claim ${name} is being made` };
    }
  }

  /** A claim only grows. The answer is why its class refuses to, which is asked again from time to time. */
  async #grow(wish: BoxWish, claim: KubeObject, written: string[]): Promise<Obstacle | undefined> {
    const wanted = volumeSize(wish.spec);
    const has = amountOf(at(claim, "spec", "resources", "requests", "storage")) ?? 0;
    if ((amountOf(wanted) ?? 0) <= has || claim.metadata.deletionTimestamp !== undefined) return undefined;
    const { name, namespace, uid } = claim.metadata;
    const asked = `${uid} ${wanted}`;
    const before = this.#ungrown.get(name);
    if (before?.asked === asked && before.rounds-- > 0) return before.refused;
    try {
      await this.#client.patch(
        resourceTypes.persistentVolumeClaim,
        { name, namespace: namespace ?? "" },
        { metadata: { uid }, spec: { resources: { requests: { storage: wanted } } } },
      );
      written.push(`PersistentVolumeClaim/${name}`);
      this.#ungrown.delete(name);
      return undefined;
    } catch (error) {
      if (!isKubeError(error, "FORBIDDEN", "INVALID")) throw error;
      const message = `The volume claim ${name} cannot grow to ${wanted}: ${messageOf(error)}. The box runs on with the size it has. Allow it in the storage class (allowVolumeExpansion: true), or replace the box by one with a larger volume.`;
      const refused = { reason: "VolumeNotGrown", message };
      this.#ungrown.set(name, { asked, refused, rounds: growAgainRounds });
      return refused;
    }
  }

  #modelOf(wish: BoxWish, view: NamespaceView, around: Surroundings & { volumeUid: string }): BoxModel {
    const { name, uid, spec, stopped, evictable } = wish;
    const set = view.statefulSets.get(statefulSetName(name));
    const witness = spec.role === "Witness";
    const shared = witness ? around.spec?.image?.witness : around.spec?.image?.node;
    const own = witness ? this.#images.witness : this.#images.node;
    const pinned = set?.metadata.annotations?.[pinnedImageAnnotation] ?? own;
    return {
      name,
      namespace: view.namespace,
      uid,
      federation: around.federation,
      spec,
      image: spec.image ?? shared ?? pinned,
      pinnedImage: pinned,
      pullPolicy: around.spec?.image?.pullPolicy ?? "IfNotPresent",
      pullSecrets: this.#images.pullSecrets,
      volumeUid: around.volumeUid,
      stopped,
      evictable,
      audience: around.spec?.auth?.tokenReview?.audience,
      peers: around.peers.filter((peer) => peer.box !== name),
    };
  }
}

interface AsAsked {
  spec: BoxSpec;
  /** Digest of the rest of the model. */
  model: string;
  children: readonly (KubeObject | undefined)[];
}

/** What the manifests of a box are made of, and the objects they were made into. Cached objects never change. */
function asAskedOf({ spec, ...rest }: BoxModel, view: NamespaceView): AsAsked {
  const { name } = rest;
  const children = [
    view.configMaps.get(configName(name)),
    view.services.get(peerServiceName(name)),
    view.services.get(clientServiceName(name)),
    view.budgets.get(budgetName(name)),
    view.statefulSets.get(statefulSetName(name)),
  ];
  return { spec, model: createHash("sha256").update(JSON.stringify(rest)).digest("base64"), children };
}

function isSame(before: AsAsked | undefined, now: AsAsked): boolean {
  if (before?.spec !== now.spec || before.model !== now.model) return false;
  return now.children.every((child, index) => child === before.children[index]);
}

/** Uid of the volume that the box had; empty when it never had one. */
function formerVolume(set: KubeObject | undefined): string {
  const containers = at(set, "spec", "template", "spec", "containers");
  if (!Array.isArray(containers)) return "";
  const environment = containers.find((each: { name?: string }) => each.name === containerName)?.env;
  if (!Array.isArray(environment)) return "";
  return environment.find((each: { name?: string }) => each.name === "NEXUS_VOLUME_UID")?.value ?? "";
}
