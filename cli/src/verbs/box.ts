// Boxes as such: which there are, one that goes for good, one whose certificate must count no more.
import { fromHex } from "@nexus-federation/node/base/bytes.ts";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { Command } from "commander";
import { findContext } from "../context.ts";
import { UsageError } from "../durations.ts";
import { checkConfirmed, type Tools, verb } from "../tools.ts";
import { boxes, declaredHere } from "./cluster.ts";

export function boxVerbs(program: Command): void {
  const box = program.command("box").description("data nodes and witnesses");
  box.command("ls").description("boxes with region, role, incarnation, endpoints").action(verb(boxes));
  box
    .command("remove <name>")
    .description("take a box out of the federation for good; its disk never returns, a new one may under the same name")
    .requiredOption("--confirm <name>", "the box's name again")
    .option("--disk <incarnation>", "the disk that is meant, when the federation knows the box no more")
    .action(verb(remove));
  box
    .command("revoke <name>")
    .description(
      "give the box of a folder's federation another certificate and let the former one count no more (12 s)",
    )
    .action(verb(revoke));
}

async function remove(tools: Tools, name: string, flags: { confirm: string; disk?: string }): Promise<void> {
  checkConfirmed("box", name, flags.confirm);
  const disk = flags.disk === undefined ? undefined : fromHex(flags.disk);
  if (flags.disk !== undefined && disk?.length !== 16)
    throw new UsageError("--disk: expected an incarnation, 32 hexadecimal digits as nexus box ls --json shows them");
  if ((await declaredHere(tools))?.has(name)) {
    const text = `box ${name} is declared and would be refused as itself: take its resource away first (nexus delete -f)`;
    throw new LocalError("PRECONDITION_FAILED", text);
  }
  const admin = await tools.admin();
  const incarnation = disk ?? (await admin.status()).boxes.find((box) => box.name === name)?.incarnation;
  if (incarnation === undefined)
    throw new LocalError("NOT_FOUND", `no box "${name}" is registered; name the disk of one that was with --disk`);
  await admin.change("removeBox", { box: name, incarnation: Buffer.from(incarnation), mayReturn: false });
  admin.close();
  tools.print(`${name}: removed`, { box: name, removed: true });
}

async function revoke(tools: Tools, name: string): Promise<void> {
  const { dir } = findContext(tools.options).context;
  if (dir === undefined)
    throw new UsageError("box revoke: only where nexus up runs; on Kubernetes see docs/runbooks/certificate.md");
  await callSupervisor(new Folder(dir), { verb: "revoke", box: name });
  tools.print(`${name}: has another certificate, the former one is revoked`, { box: name, revoked: true });
}
