import { peerSettings } from "@nexus-federation/node/transport/federation.fixture.ts";
import { Listener } from "@nexus-federation/node/transport/listener.ts";
import { systemClock, systemRandom } from "@nexus-federation/node/transport/system-clock.ts";
import { afterEach, expect, test } from "vitest";
import { rotateAuthorityAnnotation } from "../../api/annotations.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import type { KubeClient } from "../../runtime/api.ts";
import { Applier } from "../../runtime/applier.ts";
import { deepFreeze } from "../../runtime/frozen.ts";
import { KubeError } from "../../runtime/kube-error.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import { needs } from "../../runtime/testing/needs.ts";
import { AuthorityRotation } from "./authority-rotation.ts";
import { Identities } from "./identities.ts";
import { authorityName, certificateName } from "./names.ts";
import { textOf } from "./secret-texts.ts";
import type { NamespaceView } from "./view.ts";

const listeners: Listener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.stop();
});

/** Secrets as the API server keeps them, and boxes that serve with what they last read of theirs. */
class World {
  readonly secrets = new Map<string, KubeObject>();
  readonly workloads = new Map<string, ObservedWorkload>();
  readonly #listeners = new Map<string, Listener>();
  readonly #near = needs(systemClock);
  events: string[] = [];
  identities = this.#newIdentities();
  rotation = this.#newRotation();
  #nowMs = 0;

  #newIdentities(): Identities {
    const client = this as unknown as KubeClient;
    const applier = new Applier({ client, metrics: this.#near.metrics });
    const isFixed = () => true;
    const who = { namespace: "ns", federation: "acme", operator: "default", isFixed };
    return new Identities({ client, applier, clock: systemClock, random: systemRandom, ...who });
  }

  #newRotation(): AuthorityRotation {
    const { log } = this.#near;
    const events = { record: (_about: unknown, { reason }: { reason: string }) => void this.events.push(reason) };
    const now = () => (this.#nowMs += 10_000);
    return new AuthorityRotation({
      identities: this.identities,
      federation: "acme",
      now,
      events: events as never,
      log,
    });
  }

  /** Another operator takes over. */
  restart(): void {
    this.identities = this.#newIdentities();
    this.rotation = this.#newRotation();
  }

  get = async (_type: unknown, { name }: { name: string }) => this.secrets.get(name);
  create = async (_type: unknown, object: KubeObject) => {
    if (this.secrets.has(object.metadata.name)) throw new KubeError("ALREADY_EXISTS", "it exists", { status: 409 });
    return this.#keep(object);
  };
  apply = async (_type: unknown, object: KubeObject) => this.#keep(object);
  patch = async (_type: unknown, { name }: { name: string }, patch: Record<string, unknown>) =>
    this.#keep(merged(this.secrets.get(name), patch) as KubeObject);

  #keep(object: KubeObject): KubeObject {
    const kept = deepFreeze(structuredClone(object));
    this.secrets.set(kept.metadata.name, kept);
    return kept;
  }

  ask(value: string): void {
    const metadata = { annotations: { [rotateAuthorityAnnotation]: value } };
    this.#keep(merged(this.secrets.get(authorityName), { metadata }) as KubeObject);
  }

  /** The operator's part of a round. */
  async round(): Promise<void> {
    const view = { namespace: "ns", secrets: this.secrets } as unknown as NamespaceView;
    await this.rotation.round(view, this.workloads);
    await this.identities.operator(undefined);
    for (const name of this.workloads.keys()) await this.certify(name);
  }

  async certify(name: string): Promise<void> {
    const cached = this.secrets.get(certificateName(name));
    await this.identities.box({ box: { name, uid: name, role: "Data" }, tls: undefined, cached });
  }

  /** The box reads its Secret, as it is now; the first time it starts. */
  async reads(name: string): Promise<void> {
    const secret = this.secrets.get(certificateName(name))!;
    const [ca, certificate, key, crl] = ["ca.crt", "tls.crt", "tls.key", "ca.crl"].map((each) => textOf(secret, each));
    const credentials = { ca: ca!, certificate: certificate!, key: key!, crl: crl! };
    const running = this.#listeners.get(name);
    if (running !== undefined) return running.reload(credentials);
    const listener = new Listener(peerSettings(credentials));
    listeners.push(listener);
    this.#listeners.set(name, listener);
    const peerEndpoint = `127.0.0.1:${await listener.start()}`;
    this.workloads.set(name, { exists: true, running: true, stopped: false, peerEndpoint, clientEndpoint: "" });
  }

  authorities(name: string): number {
    return textOf(this.secrets.get(certificateName(name))!, "ca.crt").split("BEGIN CERTIFICATE").length - 1;
  }
}

function merged(value: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null) return patch;
  const out: Record<string, unknown> = { ...(typeof value === "object" ? value : {}) };
  for (const [key, next] of Object.entries(patch)) {
    if (next === null) delete out[key];
    else out[key] = merged(out[key], next);
  }
  return out;
}

async function started(): Promise<World> {
  const world = new World();
  for (const name of ["a", "b"]) {
    await world.certify(name);
    await world.reads(name);
  }
  return world;
}

test("each step waits until every box has taken up the one before, whichever operator goes on", async () => {
  const world = await started();
  const first = textOf(world.secrets.get(authorityName)!, "ca.crt");
  world.ask("yes");

  await world.round();
  expect(world.events).toEqual(["Introduced"]);
  expect(world.authorities("a")).toBe(2);
  await world.round();
  await world.reads("a");
  await world.round();
  expect(textOf(world.secrets.get(authorityName)!, "ca.crt")).toBe(first);

  world.restart();
  await world.reads("b");
  await world.round();
  await world.round();
  const second = textOf(world.secrets.get(authorityName)!, "ca.crt");
  expect(second).not.toBe(first);
  await world.reads("a");
  await world.round();
  expect(world.authorities("a")).toBe(2);

  world.restart();
  await world.reads("b");
  await world.round();
  await world.round();
  await world.round();

  expect(world.authorities("a")).toBe(1);
  expect(textOf(world.secrets.get(certificateName("b"))!, "ca.crt")).toBe(second);
  const left = world.secrets.get(authorityName)!;
  expect(Object.keys(left["data"] as object).sort()).toEqual(["ca.crl", "ca.crt", "ca.json", "ca.key"]);
  expect(left.metadata.annotations).toEqual({});
  expect(world.events.filter((reason) => reason !== "Waiting")).toEqual(["Introduced", "Issuing", "Rotated"]);
});

test("asked to introduce, it stays with both until it is asked to finish", async () => {
  const world = await started();
  world.ask("introduce");
  for (let i = 0; i < 3; i++) {
    await world.round();
    for (const name of ["a", "b"]) await world.reads(name);
  }
  expect(world.authorities("a")).toBe(2);
  expect(world.events).toEqual(["Introduced", "Waiting"]);

  world.ask("finish");
  for (let i = 0; i < 4; i++) {
    await world.round();
    for (const name of ["a", "b"]) await world.reads(name);
  }

  expect(world.authorities("a")).toBe(1);
});

test("a Secret that was deleted in the middle of a rotation is put back as it was, and the rotation goes on", async () => {
  const world = await started();
  world.ask("introduce");
  await world.round();
  const before = world.secrets.get(authorityName)!["data"];
  world.secrets.delete(authorityName);

  await world.round();

  expect(world.secrets.get(authorityName)!["data"]).toEqual(before);
  expect(world.events).toEqual(["Introduced", "Restored"]);
  world.restart();
  await world.round();
  expect(world.authorities("a")).toBe(2);
});
