// `make images`: builds nexus-node, nexus-witness and nexus-operator for this machine's processor and prints their sizes.
// BASE names the base image (default: made from this machine's Node), TAG the images' tag, ONLY one image.
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { must, run } from "../e2e/cluster/programs.ts";
import { readFlags } from "../test/flags.ts";
import { baseImage } from "./base.ts";
import { bundle, root } from "./bundle.ts";

export const images = { node: "box", witness: "witness", operator: "operator" } as const;
export type ImageName = keyof typeof images;

export interface ImageSettings {
  only?: readonly ImageName[];
  /** Default: NEXUS_IMAGE_TAG, else `dev`. */
  tag?: string;
  base?: string;
  /** As BundleSettings has it. */
  version?: string;
}

/** Bundles the programs and builds their images; answers the images' names with tag. */
export async function makeImages(settings: ImageSettings = {}): Promise<string[]> {
  const wanted = settings.only ?? (Object.keys(images) as ImageName[]);
  const beside = wanted.includes("operator") ? (["compose", "nexus"] as const) : [];
  await bundle([...wanted.map((name) => images[name]), ...beside], { version: settings.version });
  const base = settings.base ?? process.env["BASE"] ?? (await baseImage());
  const tags: string[] = [];
  for (const name of wanted) {
    const tag = `nexus-${name}:${settings.tag ?? process.env["TAG"] ?? "dev"}`;
    const command = [
      "docker",
      "build",
      "-q",
      "-f",
      `Dockerfile.${name}`,
      "--build-arg",
      `BASE=${base}`,
      "-t",
      tag,
      ".",
    ];
    await must(command, { cwd: root, env: { DOCKER_BUILDKIT: (await hasBuildkit()) ? "1" : "0" } });
    tags.push(tag);
  }
  return tags;
}

/** Bytes of the image as it lies on disk, and as a registry would hold it: every layer gzipped. */
async function imageSizes(tag: string): Promise<{ bytes: number; compressedBytes: number }> {
  const bytes = Number(await must(["docker", "image", "inspect", "--format", "{{.Size}}", tag]));
  const folder = mkdtempSync(join(tmpdir(), "nexus-image-"));
  try {
    const tar = join(folder, "image.tar");
    await must(["docker", "save", "-o", tar, tag]);
    let compressedBytes = 0;
    await pipeline(createReadStream(tar), createGzip({ level: 6 }), async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) compressedBytes += chunk.length;
    });
    return { bytes, compressedBytes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function hasBuildkit(): Promise<boolean> {
  return (await run(["docker", "buildx", "version"])).code === 0;
}

if (import.meta.main) {
  readFlags({
    command: "node images/make.ts",
    about: "Builds nexus-node, nexus-witness and nexus-operator with docker and prints their sizes.",
    flags: {},
    more: "Environment: BASE names the base image (else made from this machine's Node), TAG the images' tag (dev), ONLY one image.",
  });
  const only = process.env["ONLY"]?.split(",") as ImageName[] | undefined;
  const megabytes = (count: number) => `${(count / 1e6).toFixed(1)} MB`.padStart(10);
  for (const tag of await makeImages({ only })) {
    const sizes = await imageSizes(tag);
    console.log(`${tag.padEnd(24)} ${megabytes(sizes.bytes)} on disk ${megabytes(sizes.compressedBytes)} compressed`);
  }
  console.log("The floor is Node's own binary: 127 MB, 45 MB compressed, in every image (one layer, shared).");
}
