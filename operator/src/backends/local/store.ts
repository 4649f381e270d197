// What the federation was asked for, kept as readable YAML in the folder. Applying never removes an object; deleting or
// retiring stamps it with the moment, and it is forgotten once its end is complete.
import { existsSync, readFileSync } from "node:fs";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { stringify } from "yaml";
import { apiGroup, apiVersion, type Kind, keyOf, type Resource } from "../../api/kinds.ts";
import { loadFiles, printFault, type SourceFile } from "../../api/load.ts";
import type { Declared } from "../../planner/desired.ts";
import { writePrivate } from "./folder.ts";

const createdAnnotation = `${apiGroup}/created-at-ms`;
const endedAnnotation = `${apiGroup}/ended-at-ms`;
const deletedAnnotation = `${apiGroup}/deleted`;

export type Loaded = ReturnType<typeof loadFiles>;

export class DesiredStore {
  readonly #path: string;
  readonly #federation: string;
  readonly #declared = new Map<string, Declared>();

  constructor(path: string, federation: string) {
    this.#path = path;
    this.#federation = federation;
    if (!existsSync(path)) return;
    const loaded = loadFiles([{ name: path, text: readFileSync(path, "utf8") }]);
    if ("faults" in loaded)
      throw new NexusError(
        "VERSION",
        `the kept resources are not understood by this version: ${printFault(loaded.faults[0]!)}`,
      );
    for (const resource of loaded.resources) this.#declared.set(keyOf(resource), unstamped(resource));
  }

  get declared(): readonly Declared[] {
    return [...this.#declared.values()];
  }

  /** Reads files against what is in force; changes nothing. */
  load(files: readonly SourceFile[]): Loaded {
    const loaded = loadFiles(files, (kind, name) => this.#declared.get(`${kind}/${name}`)?.resource);
    if ("faults" in loaded) return loaded;
    for (const resource of loaded.resources) {
      if (resource.kind !== "Federation" || resource.spec.trustDomain === this.#federation) continue;
      const reason = `this folder holds the federation ${this.#federation}; another trust domain needs another folder (--dir)`;
      return { faults: [{ file: files[0]?.name ?? "", line: 1, field: "spec.trustDomain", reason }] };
    }
    return loaded;
  }

  /** Adds and replaces; what is not named stays. */
  apply(resources: readonly Resource[], nowMs: number): void {
    for (const resource of resources) {
      const key = keyOf(resource);
      const retired =
        (resource.kind === "ConsensusZone" || resource.kind === "Mount") && resource.spec.state === "Retired";
      const known = this.#declared.get(key);
      const endedAtMs = retired ? known?.endedAtMs || nowMs : 0;
      const createdAtMs = known === undefined || known.deleted ? nowMs : known.createdAtMs;
      this.#declared.set(key, { resource, createdAtMs, endedAtMs, deleted: false });
    }
    this.#save();
  }

  /** Why these cannot be deleted, one sentence each; empty when they can. */
  deletionFaults(resources: readonly Resource[]): string[] {
    return resources.flatMap((resource) => {
      const kept = this.#declared.get(keyOf(resource))?.resource;
      if (kept?.kind === "RaftGroup" && kept.spec.system)
        return [
          `${keyOf(kept)} holds the system zone and cannot be deleted; nexus down --delete-data ends the whole federation`,
        ];
      return [];
    });
  }

  /** Retires zones and mounts, lets boxes go when nothing names them, forgets the rest; answers those it does not know. */
  delete(resources: readonly Resource[], nowMs: number): string[] {
    const absent: string[] = [];
    for (const { kind, metadata } of resources) {
      const key = `${kind}/${metadata.name}`;
      const kept = this.#declared.get(key);
      if (!kept) {
        absent.push(key);
        continue;
      }
      if (kind === "RaftGroup" || kind === "Federation") this.#declared.delete(key);
      else this.#declared.set(key, { ...kept, endedAtMs: kept.endedAtMs || nowMs, deleted: true });
    }
    this.#save();
    return absent;
  }

  /** The end of a deleted or retired object is complete. */
  forget(kind: Kind, name: string): void {
    if (this.#declared.delete(`${kind}/${name}`)) this.#save();
  }

  #save(): void {
    const documents = this.declared.map(({ resource, createdAtMs = 0, endedAtMs, deleted }) => {
      const { kind, metadata, spec } = resource;
      const annotations = {
        ...metadata.annotations,
        ...(createdAtMs > 0 ? { [createdAnnotation]: String(createdAtMs) } : {}),
        ...(endedAtMs > 0 ? { [endedAnnotation]: String(endedAtMs) } : {}),
        ...(deleted ? { [deletedAnnotation]: "true" } : {}),
      };
      return stringify({ apiVersion, kind, metadata: { ...metadata, annotations }, spec });
    });
    writePrivate(this.#path, documents.join("---\n"));
  }
}

function unstamped(resource: Resource): Declared {
  const {
    [createdAnnotation]: created,
    [endedAnnotation]: ended,
    [deletedAnnotation]: deleted,
    ...annotations
  } = resource.metadata.annotations;
  const plain = { ...resource, metadata: { ...resource.metadata, annotations } } as Resource;
  const createdAtMs = Number(created ?? 0);
  return { resource: plain, createdAtMs, endedAtMs: Number(ended ?? 0), deleted: deleted === "true" };
}
