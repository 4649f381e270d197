// What is wrong with this machine or federation, and what to do.
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { claimant } from "@nexus-federation/operator/backends/local/claim.ts";
import { callSupervisor, notUp } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { type BoxPorts, isFree } from "@nexus-federation/operator/backends/local/ports.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Command } from "commander";
import { type FoundContext, findContext } from "../context.ts";
import { countOf } from "../show.ts";
import { type Tools, verb } from "../tools.ts";
import { allStatuses, groupsOf } from "./cluster.ts";
import { problemText } from "./status.ts";

interface Finding {
  /** Only `wrong` makes the exit code 1. */
  level: "fine" | "note" | "wrong";
  what: string;
  /** Empty when nothing need be done. */
  advice: string;
}

const freeBytesLow = 2 * 1024 ** 3;
const memoryBytesLow = 2 * 1024 ** 3;
/** A box's clock this far from ours is worth a word: certificates and retention go by it, ms. */
const skewMsMax = 2_000;
const dayMs = 86_400_000;

export function doctorVerbs(program: Command): void {
  program
    .command("doctor")
    .description("check this machine, the context and the federation; exit code 1 when something is wrong")
    .action(verb(doctor));
}

async function doctor(tools: Tools): Promise<number> {
  const context = contextOf(tools);
  const findings = [...machineFindings(folderOf(context) ?? "."), ...(await federationFindings(tools, context))];
  const mark = { fine: "ok   ", note: "note ", wrong: "WRONG" };
  tools.print(
    findings.map((f) => `${mark[f.level]}  ${f.what}${f.advice ? `\n       -> ${f.advice}` : ""}`).join("\n"),
    findings,
  );
  return findings.some((f) => f.level === "wrong") ? 1 : 0;
}

function machineFindings(dir: string): Finding[] {
  const findings: Finding[] = [];
  const major = Number(process.versions.node.split(".")[0]);
  findings.push(
    major >= 24
      ? fine(`Node ${process.versions.node}`)
      : wrong(`Node ${process.versions.node} is too old`, "run `make install`; it brings Node 24"),
  );
  const platform = `${process.platform}-${process.arch}`;
  findings.push(
    platform === "linux-x64" || platform === "darwin-arm64"
      ? fine(`platform ${platform}`)
      : wrong(
          `platform ${platform}: the storage engine ships no binary for it`,
          "use linux-x64 or darwin-arm64, or a container image",
        ),
  );
  const disk = statfsSync(existsSync(dir) ? dir : ".");
  const free = disk.bavail * disk.bsize;
  findings.push(
    free > freeBytesLow
      ? fine(`${Math.floor(free / 1024 ** 3)} GiB free ${dir === "." ? "here" : `in ${dir}`}`)
      : wrong(
          `only ${Math.floor(free / 1024 ** 2)} MiB free ${dir === "." ? "here" : `in ${dir}`}`,
          "free space: boxes refuse writes below their reserve",
        ),
  );
  if (totalmem() < memoryBytesLow)
    findings.push(note(`${Math.floor(totalmem() / 1024 ** 2)} MiB of memory`, "three processes want about 600 MiB"));
  return findings;
}

/** The context that commands would use; why none can be, when one was meant. */
function contextOf(tools: Tools): FoundContext | NexusError {
  try {
    return findContext(tools.options);
  } catch (error) {
    if (error instanceof NexusError) return error;
    throw error;
  }
}

/** Of a federation on this machine. */
function folderOf(context: FoundContext | NexusError): string | undefined {
  if (context instanceof NexusError) return undefined;
  const { dir } = context.context;
  return dir !== undefined && existsSync(dir) ? dir : undefined;
}

async function federationFindings(tools: Tools, context: FoundContext | NexusError): Promise<Finding[]> {
  if (context instanceof NexusError) {
    const { dir, context: name } = tools.options;
    const meant = dir !== undefined || name !== undefined || process.env["NEXUS_CONTEXT"];
    const what = `no federation was checked: ${context.message}`;
    return [meant ? wrong(what, "correct --dir or --context; nexus context ls shows what is known") : note(what, "")];
  }
  const findings = [fine(`context ${context.name} (${context.source})`), ...authorityFindings(context.context.ca)];
  const folder = folderOf(context);
  const { dir } = context.context;
  if (dir !== undefined && folder === undefined)
    return [...findings, wrong(`its folder ${dir} is gone`, "take another with nexus context use, or start it anew")];
  if (folder !== undefined && !claimant(new Folder(folder)))
    return [...findings, ...(await portFindings(new Folder(folder))), stopped(new Folder(folder))];
  try {
    return [...findings, ...(await runningFindings(tools, context)), ...(await supervisedFindings(folder))];
  } catch (error) {
    const advice = folder === undefined ? "check the endpoints of the context" : `see ${new Folder(folder).logs}`;
    return [...findings, wrong(`the federation does not answer: ${messageOf(error)}`, advice)];
  }
}

function stopped(folder: Folder): Finding {
  const [what, advice] = notUp(folder).split("; ");
  return wrong(what!, advice ?? "");
}

/** Ports that the boxes had and will want again. */
async function portFindings(folder: Folder): Promise<Finding[]> {
  if (!existsSync(folder.ports)) return [];
  const kept = Object.entries(JSON.parse(readFileSync(folder.ports, "utf8")) as Record<string, BoxPorts>);
  const taken: string[] = [];
  for (const [box, { peer, client }] of kept) {
    for (const port of [peer, client]) if (port > 0 && !(await isFree(port))) taken.push(`${port} (${box})`);
  }
  if (taken.length === 0) return [fine("the ports of its boxes are free")];
  const advice = `end what listens there (such as: lsof -i :${taken[0]!.split(" ")[0]}); a box keeps the ports that others know`;
  return [wrong(`another program has taken port ${taken.join(", ")}`, advice)];
}

function authorityFindings(ca: string | undefined): Finding[] {
  if (ca === undefined) return [note("the context has no ca: plaintext, which boxes offer on loopback only", "")];
  try {
    const certificate = new X509Certificate(ca);
    const leftMs = certificate.validToDate.getTime() - Date.now();
    const until = certificate.validToDate.toISOString().slice(0, 10);
    if (certificate.validFromDate.getTime() > Date.now())
      return [wrong("its authority's certificate begins in the future", "set this machine's clock")];
    if (leftMs <= 0) return [wrong(`its authority ended on ${until}`, "make a new federation, or set the clock")];
    return leftMs < 30 * dayMs
      ? [note(`its authority ends on ${until}`, "make a new one before that day")]
      : [fine(`its authority is good until ${until}`)];
  } catch {
    return [wrong("the ca of the context is no certificate", "take it from the folder's context.json")];
  }
}

async function runningFindings(tools: Tools, { context }: FoundContext): Promise<Finding[]> {
  const askedMs = Date.now();
  const { replies, silent } = await allStatuses(tools);
  const tookMs = Date.now() - askedMs;
  const findings = [
    fine(
      `federation ${context.federation}: ${replies.length === 1 ? "1 box answers" : `${replies.length} boxes answer`}`,
    ),
  ];
  for (const one of silent)
    findings.push(
      wrong(`box at ${one.endpoint} does not answer: ${one.problem}`, "see `nexus status` and `nexus logs NAME`"),
    );
  const skewed = replies.filter((reply) => Math.abs(reply.logTimeMs - askedMs) > skewMsMax + tookMs);
  for (const reply of skewed)
    findings.push(
      note(
        `${reply.box}: its clock differs by ${Math.round((reply.logTimeMs - askedMs) / 1000)} s`,
        "run an NTP client",
      ),
    );
  if (skewed.length === 0) findings.push(fine("the boxes' clocks agree with this one"));
  for (const reply of replies) findings.push(...boxFindings(reply));
  findings.push(...groupFindings(replies));
  return findings;
}

/** What only the supervisor of this machine knows: the declarations, and processes that give no status. */
async function supervisedFindings(dir: string | undefined): Promise<Finding[]> {
  if (dir === undefined) return [];
  const status = await callSupervisor(new Folder(dir), { verb: "status" });
  const stalled = status.faults.map(({ object, reason, message }) =>
    wrong(`${object}: ${reason}: ${message}`, "change it with `nexus apply`, or take it out with `nexus delete`"),
  );
  const refused = status.problems.map((problem) => wrong(problemText(problem), "see `nexus status`"));
  // One that ends again and again runs now and then.
  const down = status.boxes.flatMap((box) =>
    box.running && ((box.state !== "starting" && box.state !== "no answer") || box.problems.length === 0)
      ? []
      : [wrong(`${box.name} does not serve: ${box.problems.join("; ")}`, `see \`nexus logs ${box.name}\``)],
  );
  const restarted = status.boxes
    .filter(({ restarts }) => restarts > 0)
    .map(({ name, restarts }) =>
      note(`${name} ended and was started again ${countOf(restarts, "time")}`, `see \`nexus logs ${name}\``),
    );
  return [...down, ...stalled, ...refused, ...restarted];
}

function groupFindings(replies: StatusReply[]): Finding[] {
  const findings: Finding[] = [];
  for (const { group } of groupsOf(replies)) {
    if (!group.leader)
      findings.push(
        wrong(`zone ${group.zone} has no leader`, "it needs a majority of its members; see `nexus raft members`"),
      );
    else if (group.witnessMode === "SOLO")
      findings.push(
        wrong(
          `zone ${group.zone} runs on one copy (SOLO) at ${group.leader}`,
          "bring the other member back, or replace it with `nexus apply`",
        ),
      );
    for (const member of group.members) {
      if (group.leader && member.role !== "witness" && member.lag > 10_000)
        findings.push(
          note(
            `zone ${group.zone}: ${member.box} lags ${member.lag} entries`,
            "it is catching up, or its disk is slow",
          ),
        );
    }
  }
  return findings;
}

function boxFindings(reply: StatusReply): Finding[] {
  const findings: Finding[] = [];
  if (reply.state === "full")
    findings.push(
      wrong(`${reply.box}: its disk is below the reserve, writes are refused`, "free or add space; deletes still work"),
    );
  if (reply.state === "draining") findings.push(note(`${reply.box} is draining`, ""));
  for (const problem of reply.problems)
    findings.push(wrong(`${reply.box}: ${problem}`, "see `nexus logs` of that box"));
  for (const group of reply.groups) {
    if (group.needsReplication)
      findings.push(
        wrong(
          `${reply.box}: its replica of ${group.zone} lost or corrupted data and is out of service`,
          "replace the member: nexus apply with it removed, then added again",
        ),
      );
  }
  return findings;
}

function fine(what: string): Finding {
  return { level: "fine", what, advice: "" };
}
function wrong(what: string, advice: string): Finding {
  return { level: "wrong", what, advice };
}
function note(what: string, advice: string): Finding {
  return { level: "note", what, advice };
}
