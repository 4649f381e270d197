// The base image without a registry: Node's own binary, as npm installed it (its hash is in package-lock.json), and the
// few shared libraries that it loads, taken from this machine. No shell, no package manager: what is not there needs no
// patch. Laid out like distroless' nodejs images, so that the same Dockerfile takes either.
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { must, pipe, run } from "../e2e/cluster/programs.ts";
import { imageUser } from "../operator/src/backends/shared/container.ts";
import { root } from "./bundle.ts";

const nodePath = "/nodejs/bin/node";

/** Makes the image unless docker has it; answers its tag. Throws a sentence when this machine's Node cannot be used. */
export async function baseImage(): Promise<string> {
  const node = nodeBinary();
  const version = (await must([node, "--version"])).trim().slice(1);
  const tag = `nexus-base:${version}`;
  if ((await run(["docker", "image", "inspect", tag])).code === 0) return tag;
  const folder = mkdtempSync(join(tmpdir(), "nexus-base-"));
  try {
    await fill(folder, node);
    const tar = ["tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    await pipe(
      [...tar, "-C", folder, "-c", "."],
      ["docker", "import", "--change", "ENV PATH=/nodejs/bin", "--change", `USER ${imageUser}`, "-", tag],
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return tag;
}

function nodeBinary(): string {
  if (process.platform !== "linux")
    throw new Error("the base image is made from a Linux Node: set BASE to an image that has /nodejs/bin/node");
  return join(root, "node_modules", `node-linux-${process.arch}`, "bin/node");
}

async function fill(folder: string, node: string): Promise<void> {
  const put = (from: string, to: string) => {
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    copyFileSync(from, join(folder, to));
  };
  put(node, nodePath);
  chmodSync(join(folder, nodePath), 0o755);
  for (const library of await librariesOf(node)) put(library, library);
  for (const path of ["/etc/ssl/certs", "/usr/share/zoneinfo/UTC"])
    cpSync(path, join(folder, path), { recursive: true, dereference: true, force: true });
  const text = (path: string, lines: string[]) => writeFileSync(join(folder, path), `${lines.join("\n")}\n`);
  text("/etc/passwd", [
    "root:x:0:0:root:/:/sbin/nologin",
    `nonroot:x:${imageUser}:${imageUser}:nonroot:/:/sbin/nologin`,
  ]);
  text("/etc/group", ["root:x:0:", `nonroot:x:${imageUser}:`]);
  text("/etc/nsswitch.conf", ["hosts: files dns"]);
  mkdirSync(join(folder, "tmp"));
  chmodSync(join(folder, "tmp"), 0o1777);
  chmodSync(folder, 0o755);
}

/** Paths as the loader looks them up, the loader's own among them. */
export async function librariesOf(program: string): Promise<string[]> {
  const printed = await must(["ldd", program]);
  return [...printed.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map((match) => match[1]!);
}
