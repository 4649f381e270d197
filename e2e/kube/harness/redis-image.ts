// A Redis without a registry: Debian's program and the libraries that it loads, from this machine, as images/base.ts does it
// with Node.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { librariesOf } from "../../../images/base.ts";
import { ensureDebianPackages } from "../../cluster/docker.ts";
import { pipe } from "../../cluster/programs.ts";

/** The server under the name of one of its tools: this package, unlike redis-server, starts nothing where it is installed. */
const program = "/usr/bin/redis-check-rdb";

/** Makes the image; answers its tag. */
export async function redisImage(): Promise<string> {
  await ensureDebianPackages([[program, "redis-tools"]]);
  const folder = mkdtempSync(join(tmpdir(), "nexus-redis-"));
  const tag = "nexus-e2e-redis:debian";
  try {
    const put = (from: string, to: string) => {
      mkdirSync(dirname(join(folder, to)), { recursive: true });
      copyFileSync(from, join(folder, to));
    };
    put(program, "/usr/bin/redis-server");
    chmodSync(folder, 0o755);
    for (const library of await librariesOf(program)) put(library, library);
    const tar = ["tar", "--owner=0", "--group=0", "--numeric-owner", "-C", folder, "-c", "."];
    const changes = ["ENV PATH=/usr/bin", "USER 65532:65532"].flatMap((change) => ["--change", change]);
    await pipe(tar, ["docker", "import", ...changes, "-", tag]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return tag;
}
