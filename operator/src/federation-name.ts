import { loadFiles, type SourceFile } from "./api/load.ts";

/** Name of the federation that the files declare; `default` without a Federation resource. Faulty files say default too. */
export function federationOf(files: readonly SourceFile[]): string {
  const loaded = loadFiles(files);
  if ("faults" in loaded) return "default";
  for (const resource of loaded.resources) if (resource.kind === "Federation") return resource.spec.trustDomain;
  return "default";
}
