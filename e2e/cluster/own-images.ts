// The images of the own cluster: a Debian with a container runtime, and on it the programs of Kubernetes.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Binaries, cacheFolder, kubernetesVersion } from "./binaries.ts";
import { ensureDebianPackages } from "./docker.ts";
import { must, run } from "./programs.ts";

const folder = resolve(import.meta.dirname, "own");
const suite = "bookworm";
const packages = [
  ...["containerd", "runc", "containernetworking-plugins", "iptables", "iproute2", "conntrack", "kmod"],
  ...["ca-certificates", "openssl", "procps"],
];
const baseTag = `nexus-e2e-base:${suite}-1`;
/** The sandbox of every pod; containerd knows it as docker.io/library/nexus-e2e-pause:1. */
const pauseTag = "nexus-e2e-pause:1";

/** The node image, built when what it is made of has changed; answers its tag. */
export async function nodeImage(programs: Binaries): Promise<string> {
  const parts = ["Dockerfile", "start.sh"].map((name) => join(folder, name));
  const hash = createHash("sha256");
  for (const part of parts) hash.update(readFileSync(part));
  hash.update([programs.kube, programs.etcd, programs.coredns, baseTag].join());
  const tag = `nexus-e2e-node:${kubernetesVersion}-${hash.digest("hex").slice(0, 12)}`;
  if (await isThere(tag)) return tag;
  await debianBase();
  console.error(`building ${tag} ...`);
  // Beside the programs: hard links cost nothing there.
  const context = mkdtempSync(join(cacheFolder, "context-"));
  try {
    for (const part of parts) copyFileSync(part, join(context, part.slice(folder.length + 1)));
    for (const name of ["kube", "etcd", "coredns"] as const) linkSync(programs[name], join(context, name));
    await pauseImage(programs.pause, join(context, "pause.tar"));
    await build(context, tag, ["--build-arg", `BASE=${baseTag}`]);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
  return tag;
}

/** A Debian with the programs a node needs, as a tar in the cache and an image. */
async function debianBase(): Promise<void> {
  if (await isThere(baseTag)) return;
  const tar = join(cacheFolder, `base-${suite}-1.tar`);
  if (!existsSync(tar)) {
    await ensureDebianPackages([["/usr/sbin/debootstrap", "debootstrap"]]);
    console.error("making a base image from Debian packages (about a minute) ...");
    const target = mkdtempSync(join(tmpdir(), "nexus-e2e-base-"));
    try {
      await must(["debootstrap", "--variant=minbase", `--include=${packages.join(",")}`, suite, target]);
      const left = [
        "./var/cache/apt",
        "./var/lib/apt/lists",
        "./usr/share/doc",
        "./usr/share/man",
        "./usr/share/locale",
      ];
      const skip = left.map((path) => `--exclude=${path}/*`);
      await must(["tar", "-C", target, ...skip, "-cf", `${tar}.new`, "."]);
      renameSync(`${tar}.new`, tar);
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  }
  await must(["docker", "import", tar, baseTag]);
}

async function pauseImage(program: string, tar: string): Promise<void> {
  const context = mkdtempSync(join(cacheFolder, "context-"));
  try {
    linkSync(program, join(context, "pause"));
    writeFileSync(join(context, "Dockerfile"), 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n');
    await build(context, pauseTag);
    await must(["docker", "save", "-o", tar, pauseTag]);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

async function build(context: string, tag: string, flags: string[] = []): Promise<void> {
  const buildkit = (await run(["docker", "buildx", "version"])).code === 0 ? "1" : "0";
  await must(["docker", "build", "-q", "-t", tag, ...flags, context], { env: { DOCKER_BUILDKIT: buildkit } });
}

async function isThere(tag: string): Promise<boolean> {
  return (await run(["docker", "image", "inspect", tag])).code === 0;
}
