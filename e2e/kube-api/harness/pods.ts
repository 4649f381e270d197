// What kubelets and the StatefulSet controller do for boxes, where no node is: a pod for each StatefulSet that asks for one,
// and behind it a real box or witness, as a process on loopback with the configuration, certificates and volume that its
// manifest names. What the operator sees and what it speaks to is real; only scheduling, images and probes are made short.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { nodeOptions } from "@nexus-federation/operator/backends/local/node-flags.ts";
import { boxPorts } from "@nexus-federation/operator/backends/shared/container.ts";
import { SharedInformer } from "@nexus-federation/operator/runtime/informer.ts";
import type { KubeObject } from "@nexus-federation/operator/runtime/objects.ts";
import { type ResourceType, resourceTypes } from "@nexus-federation/operator/runtime/resource-types.ts";
import { pause } from "../../harness/run.ts";
import type { Side } from "./api.ts";

const sources = resolve(import.meta.dirname, "../../../node/src");
/** What can be pulled here; another image's pod never starts. */
const images = ["nexus-node:1", "nexus-node:2", "nexus-witness:1"];
const lookAgainMs = 20;

/** How many of these there were in this process. */
let started = 0;

interface Template {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: { containers: { image: string; env: { name: string; value: string }[] }[] };
}

type WithData = KubeObject & { data: Record<string, string> };

export class Pods {
  readonly folder = mkdtempSync(join(tmpdir(), "nexus-pods-"));
  /** What a new volume begins with: a folder that was copied before, as from a snapshot. Absent: nothing. */
  restored: string | undefined;
  /** Fewest pods that were ready at once since `watchReady`. */
  readyMin = Number.POSITIVE_INFINITY;
  readonly #near: Side;
  readonly #namespace: string;
  readonly #sets: SharedInformer;
  readonly #pods: SharedInformer;
  /** Address of each box: of loopback's sixteen million, where nobody's passing connections take a port. */
  readonly #hosts = new Map<string, string>();
  /** By uid of the pod. */
  readonly #processes = new Map<string, ChildProcess>();
  readonly #ready = new Set<string>();
  #work: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  private constructor(near: Side, namespace: string) {
    this.#near = near;
    this.#namespace = namespace;
    const of = (type: ResourceType) => new SharedInformer({ type, namespace }, near);
    this.#sets = of(resourceTypes.statefulSet);
    this.#pods = of(resourceTypes.pod);
    for (const informer of [this.#sets, this.#pods]) informer.onChange(() => this.#look());
  }

  /** `boxes` are those that may ever run here. */
  static async start(near: Side, namespace: string, boxes: readonly string[]): Promise<Pods> {
    const pods = new Pods(near, namespace);
    const net = `127.${64 + ((process.pid >> 8) % 128)}.${process.pid & 255}`;
    const first = 1 + (started++ % 20) * 10;
    for (const [index, box] of boxes.entries()) pods.#hosts.set(box, `${net}.${first + index}`);
    // Admission asks for the account that every namespace of a cluster has.
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } };
    await near.client.create(resourceTypes.serviceAccount, account as KubeObject);
    pods.#sets.start();
    pods.#pods.start();
    await Promise.all([pods.#sets.waitSynced(), pods.#pods.waitSynced()]);
    return pods;
  }

  /** Where a box's ports are, for `spec.endpoints` and for the operator. */
  endpoint(box: string, port: keyof typeof boxPorts = "peer"): string {
    return `${this.#host(box)}:${boxPorts[port]}`;
  }

  #host(box: string): string {
    const host = this.#hosts.get(box);
    if (host === undefined) throw new Error(`box ${box} was not foreseen`);
    return host;
  }

  /** Folder with the volume's files as they are at one moment: the pod's process stands still meanwhile. */
  snapshot(podUid: string, volumeUid: string): string {
    const child = this.#processes.get(podUid);
    if (child?.pid === undefined) throw new Error(`pod ${podUid} does not run`);
    const copy = join(this.folder, `${volumeUid}-snapshot`);
    child.kill("SIGSTOP");
    try {
      // The signal is on its way to every thread; state is the field after the name in brackets, Z of one that has ended.
      while (!/\) [tTZ] /.test(readFileSync(`/proc/${child.pid}/stat`, "utf8")));
      cpSync(join(this.folder, volumeUid), copy, { recursive: true });
    } finally {
      child.kill("SIGCONT");
    }
    return copy;
  }

  /** Counts from now on how many of the pods are ready at least. */
  watchReady(): void {
    this.readyMin = this.#ready.size;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([this.#sets.stop(), this.#pods.stop()]);
    await this.#work;
    await Promise.all([...this.#processes.keys()].map((uid) => this.#end(uid)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #look(): void {
    this.#again = true;
    this.#work ??= this.#loop().finally(() => {
      this.#work = undefined;
      if (this.#again && !this.#stopped) this.#look();
    });
  }

  async #loop(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      await this.#sync().catch(() => pause(lookAgainMs).then(() => this.#look()));
    }
  }

  async #sync(): Promise<void> {
    const alive = new Set(this.#pods.list(this.#namespace).map(({ metadata }) => metadata.uid ?? ""));
    for (const uid of this.#processes.keys()) if (!alive.has(uid)) await this.#end(uid);
    for (const set of this.#sets.list(this.#namespace)) await this.#keep(set);
    const wanted = new Set(this.#sets.list(this.#namespace).map(({ metadata }) => `${metadata.name}-0`));
    for (const pod of this.#pods.list(this.#namespace)) if (!wanted.has(pod.metadata.name)) await this.#delete(pod);
  }

  async #keep(set: KubeObject): Promise<void> {
    const { replicas, template } = set.spec as { replicas: number; template: Template };
    const { name, namespace = "" } = set.metadata;
    const pod = this.#pods.get({ namespace, name: `${name}-0` });
    if (replicas === 0) return pod && this.#delete(pod);
    const made = pod ?? (await this.#create(name, namespace, template));
    const uid = made.metadata.uid ?? "";
    const { image } = (made.spec as Template["spec"]).containers[0]!;
    if (this.#processes.has(uid)) return;
    if (!images.includes(image)) return void (await this.#say(made, false));
    await this.#run(name, made);
  }

  #create(name: string, namespace: string, template: Template): Promise<KubeObject> {
    const metadata = { ...template.metadata, name: `${name}-0`, namespace };
    return this.#near.client.create(resourceTypes.pod, {
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: template.spec,
    });
  }

  async #delete({ metadata }: KubeObject): Promise<void> {
    const { name, namespace = "", uid = "" } = metadata;
    await this.#near.client.delete(resourceTypes.pod, { name, namespace }, { uid, gracePeriodSeconds: 0 });
  }

  /** Starts the process of a pod; it is told to be ready once it is. */
  async #run(box: string, pod: KubeObject): Promise<void> {
    const { namespace = "", uid = "" } = pod.metadata;
    const volumeUid = (pod.spec as Template["spec"]).containers[0]!.env.find(
      ({ name }) => name === "NEXUS_VOLUME_UID",
    )!;
    const folder = join(this.folder, uid);
    const data = join(this.folder, volumeUid.value);
    if (!existsSync(data) && this.restored !== undefined) cpSync(this.restored, data, { recursive: true });
    mkdirSync(data, { recursive: true });
    const isWitness = pod.metadata.labels?.["app.kubernetes.io/component"] === "witness";
    await this.#files(folder, `${box}-tls`, "tls", resourceTypes.secret);
    if (!isWitness) await this.#files(folder, "nexus-access", "access", resourceTypes.secret);
    await this.#files(folder, `${box}-config`, "config", resourceTypes.configMap, (text) =>
      this.#local(box, text, { folder, data }),
    );
    const { flags, environment } = nodeOptions[isWitness ? "witness" : "data"];
    const program = join(sources, isWitness ? "witness.ts" : "box.ts");
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        ...(isWitness ? [] : flags),
        program,
        "--config",
        join(folder, "config/config.json"),
      ],
      {
        stdio: "ignore",
        env: { ...process.env, ...environment, NEXUS_VOLUME_UID: volumeUid.value },
      },
    );
    this.#processes.set(uid, child);
    child.on("exit", () => {
      this.#processes.delete(uid);
      this.#count(uid, false);
      if (!this.#stopped) this.#look();
    });
    void this.#awaitReady(pod, child, `http://${this.endpoint(box, "health")}/readyz`, namespace);
  }

  /** The container's configuration with this machine's folders and the box's address in it. */
  #local(box: string, text: string, { folder, data }: { folder: string; data: string }): string {
    return text
      .replaceAll('"/etc/nexus/', `"${folder}/`)
      .replaceAll('"/var/lib/nexus', `"${data}`)
      .replaceAll("0.0.0.0", this.#host(box));
  }

  /** The object's data as files. */
  async #files(
    folder: string,
    name: string,
    to: string,
    type: ResourceType,
    change = (text: string) => text,
  ): Promise<void> {
    const found = await this.#near.client.get<WithData>(type, { namespace: this.#namespace, name });
    if (found === undefined) throw new Error(`${type.kind} ${name} is not there yet`);
    mkdirSync(join(folder, to), { recursive: true });
    for (const [file, value] of Object.entries(found.data)) {
      const text = type === resourceTypes.secret ? Buffer.from(value, "base64").toString() : value;
      writeFileSync(join(folder, to, file), change(text));
    }
  }

  async #awaitReady(pod: KubeObject, child: ChildProcess, url: string, namespace: string): Promise<void> {
    while (child.exitCode === null && child.signalCode === null && !this.#stopped) {
      const is = await fetch(url, { headers: { connection: "close" } }).then(
        ({ ok }) => ok,
        () => false,
      );
      if (is) {
        this.#count(pod.metadata.uid ?? "", true);
        await this.#say({ ...pod, metadata: { ...pod.metadata, namespace } }, true).catch(() => undefined);
        return;
      }
      await pause(lookAgainMs);
    }
  }

  #count(uid: string, ready: boolean): void {
    if (ready) this.#ready.add(uid);
    else this.#ready.delete(uid);
    this.readyMin = Math.min(this.readyMin, this.#ready.size);
  }

  /** A pod's status, as the kubelet writes it. */
  async #say({ metadata }: KubeObject, ready: boolean): Promise<void> {
    const { name, namespace, uid } = metadata;
    const waiting = { reason: "ImagePullBackOff", message: "the image cannot be pulled" };
    const status = ready
      ? { phase: "Running", conditions: [{ type: "Ready", status: "True" }] }
      : {
          phase: "Pending",
          containerStatuses: [
            { name: "nexus", image: "?", imageID: "", ready: false, restartCount: 0, state: { waiting } },
          ],
        };
    const intent = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, uid }, status };
    await this.#near.client.applyStatus(resourceTypes.pod, intent as KubeObject);
  }

  /** SIGTERM first, as a deleted pod has it. */
  async #end(uid: string): Promise<void> {
    const child = this.#processes.get(uid);
    this.#processes.delete(uid);
    this.#count(uid, false);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(this.#stopped ? "SIGKILL" : "SIGTERM");
    await gone;
  }
}
