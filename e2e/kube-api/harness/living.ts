// A federation that lives: the resources of examples/quickstart.yaml on a real API server, real boxes behind their pods
// (pods.ts), and clients that write and read all the while.
import { NexusClient } from "@nexus-federation/node/client/client.ts";
import type { Kind } from "@nexus-federation/operator/api/kinds.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { ownTypes, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { expect } from "vitest";
import { Workload } from "../../harness/workload.ts";
import { newNamespace, type Side } from "./api.ts";
import { Made } from "./oracle.ts";
import { Pods } from "./pods.ts";

const apiVersion = "federation.nexus.io/v1alpha1";
const dataBoxes = ["nexus-1", "nexus-2", "nexus-3"];
/** Boxes that may ever be declared. */
const foreseen = [...dataBoxes, "witness-1", "poison"];
/** What passes by itself while the rest is as declared. */
const passing = ["Reconciling", "Degraded", "DegradedDurability"];

type Status = { observedGeneration?: number; conditions?: { type: string; status: string; reason: string }[] };
type Own = KubeObject<unknown, Status>;

export class Living {
  readonly near: Side;
  readonly namespace: string;
  readonly pods: Pods;
  readonly made: Made;
  #load: Workload | undefined;

  private constructor(near: Side, namespace: string, parts: { pods: Pods; made: Made }) {
    this.near = near;
    this.namespace = namespace;
    this.pods = parts.pods;
    this.made = parts.made;
  }

  /** Two boxes and a witness are declared; nobody acts yet. */
  static async declare(near: Side): Promise<Living> {
    const namespace = await newNamespace(near.client);
    const pods = await Pods.start(near, namespace, foreseen);
    const made = await new Made(near, namespace).start();
    const living = new Living(near, namespace, { pods, made });
    for (const box of ["nexus-1", "nexus-2", "witness-1"]) await living.addBox(box);
    const members = living.members("nexus-1", "nexus-2");
    await living.create("RaftGroup", "main", { members, system: true, bootstrapBox: "nexus-1" });
    await living.create("ConsensusZone", "root", { pathPattern: "/**", mode: "strong_ha", raftGroup: "main" });
    return living;
  }

  readonly adminEndpoint = (box: string): string => this.pods.endpoint(box);

  async stop(): Promise<void> {
    await this.#load?.stop();
    await this.made.stop();
    await this.pods.stop();
  }

  members(...voters: string[]): object[] {
    return [...voters.map((box) => ({ box, role: "Voter" })), { box: "witness-1", role: "Witness" }];
  }

  create(kind: Kind, name: string, spec: object): Promise<KubeObject> {
    const object = { apiVersion, kind, metadata: { name, namespace: this.namespace }, spec };
    return this.near.client.create(ownTypes[kind], object as KubeObject);
  }

  addBox(name: string): Promise<KubeObject> {
    const isWitness = name.startsWith("witness");
    const client = isWitness ? {} : { client: this.pods.endpoint(name, "client") };
    const endpoints = { peer: this.pods.endpoint(name), ...client };
    return this.create("Box", name, { region: "local", role: isWitness ? "Witness" : "Data", endpoints });
  }

  change(kind: Kind, name: string, spec: object): Promise<KubeObject> {
    return this.near.client.patch(ownTypes[kind], { namespace: this.namespace, name }, { spec });
  }

  annotate(kind: Kind, name: string, annotations: Record<string, string | null>): Promise<KubeObject> {
    return this.near.client.patch(ownTypes[kind], { namespace: this.namespace, name }, { metadata: { annotations } });
  }

  async get(kind: Kind, name: string): Promise<Own> {
    const found = await this.near.client.get<Own>(ownTypes[kind], { namespace: this.namespace, name });
    if (found === undefined) throw new Error(`${kind} ${name} is not there`);
    return found;
  }

  async remove(kind: Kind, name: string): Promise<void> {
    const { metadata } = await this.get(kind, name);
    const at = { namespace: this.namespace, name };
    await this.near.client.delete(ownTypes[kind], at, { uid: metadata.uid ?? "" });
  }

  /** The claim of a box that is gone, with Kubernetes' own finalizer, whose controller is not here. */
  async removeClaim(box: string): Promise<void> {
    const at = { namespace: this.namespace, name: `${box}-data` };
    const claim = await this.near.client.get(resourceTypes.persistentVolumeClaim, at);
    if (claim === undefined) return;
    await this.near.client.patch(resourceTypes.persistentVolumeClaim, at, { metadata: { finalizers: null } });
    await this.near.client.delete(resourceTypes.persistentVolumeClaim, at, { uid: claim.metadata.uid ?? "" });
  }

  /** What does not yet stand as declared, "Kind/name"; empty once all does. */
  async open(): Promise<string[]> {
    const open: string[] = [];
    for (const kind of ["Box", "RaftGroup", "ConsensusZone"] as const) {
      const { items } = await this.near.client.list<Own>(ownTypes[kind], { namespace: this.namespace });
      for (const { metadata, status } of items) {
        const has = (type: string, is: string) =>
          status?.conditions?.some((each) => each.type === type && each.status === is) === true;
        const rests =
          metadata.deletionTimestamp === undefined &&
          status?.observedGeneration === metadata.generation &&
          has("Ready", "True") &&
          !passing.some((type) => has(type, "True"));
        if (!rests) open.push(`${kind}/${metadata.name} ${JSON.stringify(status?.conditions ?? [])}`);
      }
    }
    return open;
  }

  readonly settled = async (): Promise<boolean> => (await this.open()).length === 0;

  /** Clients of the federation begin; it is founded. */
  async load(): Promise<Workload> {
    type Token = KubeObject & { data: Record<string, string> };
    const at = { namespace: this.namespace, name: "nexus-token" };
    const secret = await this.near.client.get<Token>(resourceTypes.secret, at);
    const text = (name: string) => Buffer.from(secret?.data[name] ?? "", "base64").toString();
    const client = new NexusClient({
      endpoints: dataBoxes.map((box) => this.pods.endpoint(box, "client")),
      federation: text("federation"),
      token: text("token"),
      ca: text("ca.crt"),
    });
    this.#load = new Workload(client, { writers: 1, registerClients: 1, pauseMs: 40, timeoutMs: 30_000 }).start();
    return this.#load;
  }

  /** Every acknowledged write is there, every register has an order, and clients were served. */
  async judge(): Promise<void> {
    const load = this.#load!;
    await load.stop();
    expect(load.acknowledged.length).toBeGreaterThan(0);
    expect({ missing: await load.missing(), wrong: load.wrongRegisters() }).toEqual({ missing: [], wrong: [] });
  }
}
