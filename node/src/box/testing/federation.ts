import { createHash, hash } from "node:crypto";
import type { AdminReply } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, ZoneRule } from "@nexus-federation/proto/records.ts";
import type { Request, RequestOptions, Response } from "@nexus-federation/proto/request.ts";
import { must } from "../../base/assert.ts";
import { hexOf } from "../../base/bytes.ts";
import { refuse } from "../../base/errors.ts";
import { Cluster, type ClusterSettings } from "../../group/testing/cluster.ts";
import { MemoryBulk } from "../../transport/memory-bulk.ts";
import { ruleOf } from "../../tree/testing/rule.ts";
import type { Caller } from "../api.ts";
import { noOptions, refusalIn } from "../ask.ts";
import { type BoxLimits, defaultBoxLimits } from "../limits.ts";
import { BoxNode } from "../node.ts";
import type { ChunkStore, Hashing, MapFile } from "../ports.ts";

export const hashing: Hashing = {
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
  running() {
    const running = createHash("sha256");
    return { update: (bytes) => void running.update(bytes), digest: () => running.digest() };
  },
};

/** Somebody with all rights. */
export const anyone: Caller = { principal: "tester", kind: "client", check: () => undefined };

export interface FederationSettings extends ClusterSettings {
  limits?: Partial<BoxLimits>;
}

/** Data boxes with everything from the request down, over the group room's virtual clock, disks and network. */
export class Federation {
  readonly cluster: Cluster;
  readonly nodes = new Map<string, BoxNode>();
  readonly chunks = new Map<string, Map<string, Uint8Array>>();
  readonly #maps = new Map<string, Uint8Array>();
  readonly #uids = new Map<string, string>();
  readonly #limits: BoxLimits;

  constructor(settings: FederationSettings = {}) {
    this.#limits = { ...defaultBoxLimits, ...settings.limits };
    this.cluster = new Cluster(settings);
  }

  /** Starts the boxes and founds the federation with the first `system` of them. */
  static async start(names: string[], options: { system: number } & FederationSettings): Promise<Federation> {
    const federation = new Federation(options);
    await federation.cluster.start(...names);
    for (const name of names) if (!name.startsWith("w")) federation.begin(name);
    await federation.cluster.run(100);
    const members = names.slice(0, options.system).map((box) => federation.declared(box));
    const boxes = names.map((name) => federation.record(name));
    const first = must(names[0], "a first box");
    const request = { federation: "fed", members, timing: "region", boxes };
    await federation.admin(federation.node(first).box.admin.bootstrap(request, anyone));
    const epochs = () => [...federation.nodes.values()].every((node) => node.directory.boxes.length === names.length);
    await federation.cluster.until(epochs, 10_000, "every box knows every box");
    return federation;
  }

  /** Wires a box over the host that the cluster has started. */
  begin(name: string): void {
    const box = this.cluster.box(name);
    const { clock, random } = this.cluster;
    const chunks = this.#chunkStore(name);
    box.network.bulkServer = {
      snapshot: (from, start, data) => box.host.receiveSnapshot(from, start, data),
      putChunk: async (_from, chunk, data) => void (await chunks.put(chunk.address, data)),
      getChunk: async (_from, chunk) => chunks.get(chunk.address),
    };
    const seeds = [...this.cluster.boxes.keys()].map((other) => ({ box: other, endpoint: `${other}:1` }));
    const node = new BoxNode({
      identity: { box: name, federation: "fed", region: `region-${name}` },
      version: "1",
      disk: {
        incarnation: box.incarnation,
        federationUid: () => this.#uids.get(name) ?? "",
        join: async (uid) => void this.#uids.set(name, uid),
        low: () => box.diskLow,
      },
      groups: box.host,
      machines: box.states,
      network: box.network,
      chunks,
      transfer: new MemoryBulk(box.network, () => undefined),
      hashing,
      mapFile: this.#mapFile(name),
      seeds,
      clock,
      random,
      limits: this.#limits,
      log: { info: () => undefined, warn: () => undefined },
      problems: () => [],
    });
    this.nodes.set(name, node);
    node.start();
  }

  #mapFile(name: string): MapFile {
    return { load: () => this.#maps.get(name), save: (bytes) => void this.#maps.set(name, bytes) };
  }

  #chunkStore(name: string): ChunkStore {
    const held = this.chunks.get(name) ?? new Map<string, Uint8Array>();
    this.chunks.set(name, held);
    const box = this.cluster.box(name);
    return {
      has: (address) => held.has(hexOf(address)),
      put: async (address, data) => {
        held.set(hexOf(address), Uint8Array.from(data));
        box.chunks.add(hexOf(address));
      },
      get: async (address) => held.get(hexOf(address)),
    };
  }

  record(name: string): BoxRecord {
    const box = this.cluster.box(name);
    const endpoint = `${name}:1`;
    const role = box.isWitness ? "Witness" : "Data";
    const { incarnation } = box;
    return {
      name,
      incarnation,
      region: `region-${name}`,
      role,
      peerEndpoint: endpoint,
      clientEndpoint: "",
      featureLevel: 1,
      cluster: "",
    };
  }

  declared(box: string, role = this.cluster.box(box).isWitness ? "witness" : "voter") {
    return { box, role };
  }

  node(name: string): BoxNode {
    return must(this.nodes.get(name), `node ${name}`);
  }

  /** Kills a box and starts it again from what was durable. */
  crash(name: string): void {
    this.node(name).stop();
    this.cluster.box(name).crash();
  }
  async restart(name: string): Promise<void> {
    const box = this.cluster.box(name);
    await box.start();
    this.begin(name);
    // The cluster knows of raft streams only.
    for (const other of this.cluster.boxes.values()) {
      if (other === box || !other.up || other.isWitness) continue;
      other.network.setPeer({ ...box.address, services: ["raft", "forward"] });
    }
  }

  async admin(reply: Promise<AdminReply>): Promise<AdminReply> {
    const done = await this.cluster.settle(reply, 60_000);
    if (done.failure !== undefined) throw new Error(`${done.failure.code}: ${done.failure.message}`);
    return done;
  }

  /** Creates a zone and its rule through the admin calls of a box. */
  async zone(
    rule: Partial<ZoneRule> & { zone: string; pattern: string },
    members: string[],
    via?: string,
  ): Promise<void> {
    const box = via ?? must([...this.nodes.keys()][0], "a box");
    const { admin } = this.node(box).box;
    const log = await this.log(rule.zone, members, box);
    const { map } = admin.status({ zones: false }, anyone);
    const rules = [
      ...(map?.rules ?? []),
      { ...this.rule(rule, log), members: members.map((m) => m.split(":")[0] as string) },
    ];
    await this.admin(admin.installRules({ expectedEpoch: map?.epoch ?? 0, rules }, anyone));
    const seen = () => [...this.nodes.values()].every((node) => node.directory.patternOf(rule.zone) !== undefined);
    await this.cluster.until(seen, 5_000, `every box knows zone ${rule.zone}`);
  }

  /** The log of a zone without a rule, made by the admin call of a box; members as "box" or "box:role". */
  async log(zone: string, members: string[], via: string): Promise<number> {
    const declared = members.map((member) => {
      const [box = "", role] = member.split(":");
      return this.declared(box, role);
    });
    const { admin } = this.node(via).box;
    const wanted = { zone, members: declared, timing: "region", group: "", rule: undefined };
    return (await this.admin(admin.ensureZone(wanted, anyone))).log;
  }

  rule(rule: Partial<ZoneRule> & { zone: string; pattern: string }, log: number): ZoneRule {
    return ruleOf({ mode: "strong_ha", copiesDeclared: 2, ...rule, log });
  }

  ask(
    box: string,
    op: NonNullable<Request["op"]>,
    options: Partial<RequestOptions> = {},
    zone = "",
  ): Promise<Response> {
    return this.cluster.settle(this.send(box, op, options, zone), 130_000);
  }
  send(
    box: string,
    op: NonNullable<Request["op"]>,
    options: Partial<RequestOptions> = {},
    zone = "",
  ): Promise<Response> {
    return new Promise((resolve) => {
      this.node(box).box.handle({ id: 7, options: { ...noOptions, ...options }, zone, op }, anyone, resolve);
    });
  }

  write(box: string, path: string, text: string, options: Partial<RequestOptions> = {}): Promise<Response> {
    return this.ask(box, writeOp(path, text), options);
  }
  /** The text at a path, or the code of the refusal. */
  async read(box: string, path: string, options: Partial<RequestOptions> = {}): Promise<string> {
    const response = await this.ask(box, { $case: "read", value: { path, infoOnly: false } }, options);
    if (response.result?.$case === "read") return response.result.value.content.toString();
    return refusalIn(response)?.code ?? refuse("INTERNAL", "").code;
  }
}

export function writeOp(path: string, text: string): NonNullable<Request["op"]> {
  const none = Buffer.alloc(0);
  const value = {
    path,
    content: Buffer.from(text),
    chunks: [],
    size: 0,
    etag: none,
    contentType: "",
    metadata: {},
    condition: undefined,
    uploadIndex: 0,
  };
  return { $case: "mutate", value: { op: { $case: "write", value } } };
}

export function codeOf(response: Response): string {
  return refusalIn(response)?.code ?? "";
}
