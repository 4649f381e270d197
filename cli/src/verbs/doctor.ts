// What is wrong with this machine or federation, and what to do.
import { existsSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { messageOf } from "@nexus-federation/node/base/errors.ts";
import type { StatusReply } from "@nexus-federation/proto/admin.ts";
import type { Command } from "commander";
import { findContext } from "../context.ts";
import { type Tools, verb } from "../tools.ts";
import { allStatuses, groupsOf } from "./cluster.ts";

interface Finding {
  /** Only `wrong` makes the exit code 1. */
  level: "fine" | "note" | "wrong";
  what: string;
  /** Empty when nothing need be done. */
  advice: string;
}

const freeBytesLow = 2 * 1024 ** 3;
const memoryBytesLow = 2 * 1024 ** 3;

export function doctorVerbs(program: Command): void {
  program
    .command("doctor")
    .description("check this machine and the federation; exit code 1 when something is wrong")
    .action(verb(doctor));
}

async function doctor(tools: Tools): Promise<number> {
  const findings = [...machineFindings(tools.options.dir ?? "."), ...(await federationFindings(tools))];
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
      ? fine(`${Math.floor(free / 1024 ** 3)} GiB free here`)
      : wrong(
          `only ${Math.floor(free / 1024 ** 2)} MiB free here`,
          "free space: boxes refuse writes below their reserve",
        ),
  );
  if (totalmem() < memoryBytesLow)
    findings.push({
      level: "note",
      what: `${Math.floor(totalmem() / 1024 ** 2)} MiB of memory`,
      advice: "three processes want about 600 MiB",
    });
  return findings;
}

async function federationFindings(tools: Tools): Promise<Finding[]> {
  try {
    const found = findContext(tools.options);
    const { replies, silent } = await allStatuses(tools);
    const findings = [fine(`federation ${found.context.federation} (${found.source}): ${replies.length} boxes answer`)];
    for (const one of silent)
      findings.push(
        wrong(`box at ${one.endpoint} does not answer: ${one.problem}`, "see `nexus status` and `nexus logs NAME`"),
      );
    for (const reply of replies) findings.push(...boxFindings(reply));
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
        if (group.leader && member.role !== "witness" && member.lag > 10_000) {
          findings.push({
            level: "note",
            what: `zone ${group.zone}: ${member.box} lags ${member.lag} entries`,
            advice: "it is catching up, or its disk is slow",
          });
        }
      }
    }
    return findings;
  } catch (error) {
    return [
      {
        level: "note",
        what: `no federation was checked: ${messageOf(error)}`,
        advice: "start one with `nexus up -f FILE`",
      },
    ];
  }
}

function boxFindings(reply: StatusReply): Finding[] {
  const findings: Finding[] = [];
  if (reply.state === "full")
    findings.push(
      wrong(`${reply.box}: its disk is below the reserve, writes are refused`, "free or add space; deletes still work"),
    );
  if (reply.state === "draining") findings.push({ level: "note", what: `${reply.box} is draining`, advice: "" });
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
