// up, apply, delete, down, logs: the local federation of a folder.
import {
  createReadStream,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  watch,
} from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { messageOf, NexusError } from "@nexus-federation/node/base/errors.ts";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import { type LoadFault, loadFiles, printFault, type SourceFile } from "@nexus-federation/operator/api/load.ts";
import { claimant, claimFolder } from "@nexus-federation/operator/backends/local/claim.ts";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import type { ApplyOutcome, LocalStatus, ObjectFault } from "@nexus-federation/operator/backends/local/status.ts";
import { federationOf } from "@nexus-federation/operator/federation-name.ts";
import { LocalRuntime } from "@nexus-federation/operator/local.ts";
import type { Command } from "commander";
import {
  contextsPath,
  federationFolder,
  findContext,
  folderAbove,
  forgetFolder,
  hasFederation,
  rememberFolder,
} from "../context.ts";
import { upDetached } from "../detach.ts";
import { parseCount, parseDuration, UsageError } from "../durations.ts";
import { readStdin } from "../input.ts";
import { endLeftovers, leftovers } from "../leftovers.ts";
import { untilServing, untilWhole } from "../serving.ts";
import { systemSentence, type Tools, verb } from "../tools.ts";
import { problemText, statusText } from "./status.ts";

/** How long a supervisor may take to end, and how often it is looked at, ms. */
const downMs = 10_000;
const lookMs = 50;

const filesNeeded = "up: give -f FILE (examples/quickstart.yaml is a start)";

interface FileFlags {
  file: string[];
  wait: string;
}

export function runtimeVerbs(program: Command): void {
  program
    .command("up")
    .description("start (or go on with) the federation of these files on this machine; Ctrl-C stops it")
    .option(
      "-f, --file <file...>",
      "YAML files of Federation, Box, RaftGroup, ConsensusZone (- is stdin); may be left out the second time",
      [],
    )
    .option("--detach", "leave the processes running and give the shell back")
    .option(
      "--adoptable",
      "the boxes outlive this process if it is killed, and the next up adopts them; so with --detach",
    )
    .option("--wait <duration>", "how long to wait until everything is ready", "60s")
    .action(verb(up));
  for (const [name, text] of [
    ["apply", "change the running federation; objects that the files leave out stay as they are"],
    ["delete", "retire the zones and remove the boxes that the files name; data is kept for the zone's retention"],
  ] as const) {
    program
      .command(name)
      .description(text)
      .requiredOption("-f, --file <file...>", "YAML files (- is stdin)")
      .option("--wait <duration>", "how long to wait until it is done; 0 does not wait", "60s")
      .action(verb((tools, flags: FileFlags) => change(tools, name, flags)));
  }
  program
    .command("down")
    .description("stop the processes of the federation here (or above), or of the one that --dir or --context names")
    .option("--delete-data", "and delete its folder, data included")
    .action(verb(down));
  program
    .command("logs <name>")
    .description("log of a box or witness")
    .option("-F, --follow", "keep printing")
    .option("-n, --lines <n>", "last lines only", "200")
    .action(verb(logs));
}

async function up(tools: Tools, flags: FileFlags & { detach?: boolean; adoptable?: boolean }): Promise<number> {
  const files = await readFiles(flags.file);
  const folder = upFolder(tools, files);
  if (files.length === 0 && !existsSync(folder.desired)) throw new UsageError(filesNeeded);
  const waitMs = parseDuration(flags.wait, "--wait");
  // A refused file leaves no folder behind; against what is in force it is checked again.
  const loaded = existsSync(folder.desired) ? undefined : loadFiles(files);
  if (loaded && "faults" in loaded) return refused(tools, loaded.faults);
  if (loaded?.resources.length === 0) throw new LocalError("INVALID", noObject(files));
  if (flags.detach) {
    if (flags.file.includes("-")) throw new UsageError("up --detach: give files, not stdin");
    return upDetached(tools, { folder, files: flags.file, waitMs }, printUp);
  }
  const say = (line: string) => process.stderr.write(`${line}\n`);
  let runtime: LocalRuntime | undefined;
  const stop = onSignals(() => {
    say("stopping ...");
    void runtime?.stop();
  });
  const federation = nameOf(folder, files);
  runtime = await LocalRuntime.open({
    folder: folder.root,
    federation,
    detached: flags.adoptable ?? false,
    report: say,
  });
  if (stop.asked) return leave(runtime);
  const outcome = await runtime.start(files);
  if (outcome.refused.length > 0) {
    await runtime.stop();
    return refused(tools, outcome.refused);
  }
  for (const note of outcome.notes) say(note);
  if (stop.asked) return leave(runtime);
  const until = performance.now() + waitMs;
  const status = await runtime.settle(waitMs);
  if (status.settled) {
    const limits = { until, stopped: () => stop.asked };
    await untilServing(folder, status, limits);
    await untilWhole(async () => runtime.status(), limits);
  }
  if (!stop.asked) printUp(tools, folder, runtime.status());
  await runtime.finished();
  return 0;
}

/** Stopped before it was up. */
async function leave(runtime: LocalRuntime): Promise<number> {
  await runtime.stop();
  return 1;
}

/** The federation is up: remembered as a context, and shown with what to do next. Faults of objects make it 1. */
function printUp(tools: Tools, folder: Folder, status: LocalStatus): number {
  try {
    const name = rememberFolder(folder.root);
    if (name !== undefined && name !== status.federation)
      process.stderr.write(
        `its context is ${name}: another federation on this machine is named ${status.federation}\n`,
      );
  } catch (error) {
    process.stderr.write(`its context could not be kept in ${contextsPath()}: ${messageOf(error)}\n`);
  }
  tools.print(`${statusText(status)}\n\n${whatNext(status)}`, status);
  const { faults } = status;
  for (const fault of faults) process.stderr.write(`${faultText(fault)}\n`);
  if (faults.length > 0) process.stderr.write(`Everything else runs; ${objectsOf(faults)} see the line above.\n`);
  return faults.length > 0 ? 1 : 0;
}

const objectsOf = (faults: ObjectFault[]) => (faults.length === 1 ? "for one object" : `for ${faults.length} objects`);

async function change(tools: Tools, kind: "apply" | "delete", flags: FileFlags): Promise<number> {
  const folder = runningFolder(tools);
  const files = await readFiles(flags.file);
  const waitMs = parseDuration(flags.wait, "--wait");
  const until = performance.now() + waitMs;
  const outcome: ApplyOutcome = await callSupervisor(folder, { verb: kind, files });
  if (outcome.refused.length > 0) return refused(tools, outcome.refused);
  if (outcome.taken.length + outcome.absent.length === 0) throw new LocalError("INVALID", noObject(files));
  for (const object of outcome.absent) process.stderr.write(`${object} is not declared; there is nothing to delete\n`);
  for (const note of outcome.notes) process.stderr.write(`${note}\n`);
  const status = waitMs > 0 ? await callSupervisor(folder, { verb: "settle", timeoutMs: waitMs }) : undefined;
  const late = status?.settled ? await untilServing(folder, status, { until }) : undefined;
  const settled = status?.settled === true && late === undefined;
  const faults = status ? faultsNow(outcome, status.faults) : outcome.faults;
  const own = faults.filter((fault) => !fault.old);
  const text = [
    ...outcome.taken.map((object) => `${object} ${kind === "apply" ? "applied" : "retired"}`),
    ...own.map(faultText),
    ...faults.filter((fault) => fault.old).map(({ object }) => `${object} is stalled as before: see nexus status`),
    ...(late === undefined ? [] : [late]),
    ...(status === undefined || settled ? [] : [...status.problems.map(problemText), "not done yet: see nexus status"]),
  ];
  tools.print(text.join("\n"), { taken: outcome.taken, absent: outcome.absent, faults, settled, notes: outcome.notes });
  return own.length > 0 || (status !== undefined && !settled) ? 1 : 0;
}

const noObject = (files: SourceFile[]) => `${files.map(({ name }) => name).join(", ")}: there is no object in it`;

/** What is stalled at the end; where it was so at once, with the place in the file. */
function faultsNow({ faults }: ApplyOutcome, now: readonly ObjectFault[]): ObjectFault[] {
  return now.flatMap((fault) => {
    const placed = faults.filter((each) => each.object === fault.object && fault.message.includes(each.message));
    return placed.length > 0 ? placed : [fault];
  });
}

/** `file:line: field: Kind/name: reason: sentence`, without the place when the object came earlier. */
function faultText({ object, reason, message, file, line, field }: ObjectFault): string {
  return `${file === undefined ? "" : `${file}:${line}: ${field}: `}${object}: ${reason}: ${message}`;
}

function refused(tools: Tools, faults: LoadFault[]): number {
  if (tools.json) tools.print("", { refused: faults });
  for (const fault of faults) process.stderr.write(`${printFault(fault)}\n`);
  process.stderr.write("nexus: INVALID: nothing was changed\n");
  return 1;
}

async function down(tools: Tools, flags: { deleteData?: boolean }): Promise<void> {
  const deleteData = flags.deleteData ?? false;
  if (!isNamed(tools, deleteData)) {
    const call = deleteData ? "down --delete-data" : "down";
    throw new UsageError(`${call}: no federation lies in this folder or above; name one with --dir or --context`);
  }
  const folder = runningFolder(tools);
  try {
    await callStarted(folder, { verb: "down", deleteData });
  } catch (error) {
    const nobody = error instanceof NexusError && error.code === "ZONE_UNAVAILABLE" && !claimant(folder);
    if (!nobody || (!deleteData && leftovers(folder).length === 0)) throw error;
    await downAlone(folder, deleteData);
  }
  const until = performance.now() + downMs;
  while (claimant(folder) && performance.now() < until) await new Promise((go) => setTimeout(go, lookMs));
  if (claimant(folder))
    throw new LocalError("DEADLINE", `the supervisor (pid ${claimant(folder)?.pid}) has not ended within ${downMs} ms`);
  if (deleteData) forgetFolder(folder.root);
  tools.print(deleteData ? `${folder.root}: stopped and deleted` : `${folder.root}: stopped, data kept`, {
    folder: folder.root,
    deleted: deleteData,
  });
}

/** A supervisor has the folder before it listens; it is asked again until it does. */
async function callStarted(folder: Folder, request: { verb: "down"; deleteData: boolean }): Promise<void> {
  for (const until = performance.now() + downMs; ; await new Promise((go) => setTimeout(go, lookMs))) {
    try {
      await callSupervisor(folder, request);
      return;
    } catch (error) {
      const deaf = error instanceof NexusError && error.code === "ZONE_UNAVAILABLE" && claimant(folder);
      if (!deaf || performance.now() >= until) throw error;
    }
  }
}

/** It is meant beyond doubt: named (to delete it, in this very call), or lying in this folder or above. */
function isNamed({ options }: Tools, here: boolean): boolean {
  if (options.dir !== undefined || options.context !== undefined) return true;
  return (!here && !!process.env["NEXUS_CONTEXT"]) || folderAbove(process.cwd()) !== undefined;
}

/** Nobody supervises the folder; what a killed supervisor left in it is ended here. */
async function downAlone(folder: Folder, deleteData: boolean): Promise<void> {
  const release = claimFolder(folder);
  try {
    await endLeftovers(folder);
    if (deleteData) rmSync(folder.root, { recursive: true, force: true });
  } finally {
    release();
  }
}

async function logs(tools: Tools, name: string, flags: { follow?: boolean; lines: string }): Promise<void> {
  const folder = runningFolder(tools);
  const file = folder.log(name);
  const count = parseCount(flags.lines, "--lines");
  if (!existsSync(file)) throw new LocalError("NOT_FOUND", `${name}: no log in ${folder.logs}; ${logNames(folder)}`);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  process.stdout.write(count === 0 ? "" : `${lines.slice(-count).join("\n")}\n`);
  if (!flags.follow) return;
  let at = statSync(file).size;
  const watcher = watch(file);
  onSignals(() => watcher.close());
  await new Promise<void>((done) => {
    watcher.on("change", () => {
      const size = statSync(file).size;
      if (size > at) createReadStream(file, { start: at, end: size - 1 }).pipe(process.stdout, { end: false });
      at = size;
    });
    watcher.on("close", done);
  });
}

function logNames(folder: Folder): string {
  const names = existsSync(folder.logs) ? readdirSync(folder.logs).filter((name) => name.endsWith(".log")) : [];
  return names.length === 0 ? "there is none yet" : `there are ${names.map((name) => name.slice(0, -4)).join(", ")}`;
}

/** --dir, or .nexus/<federation> here. */
function upFolder(tools: Tools, files: SourceFile[]): Folder {
  const { dir } = tools.options;
  if (dir !== undefined) return new Folder(resolve(dir));
  if (files.length > 0) return new Folder(resolve(".nexus", federationOf(files)));
  if (!hasFederation(resolve(".nexus"))) throw new UsageError(filesNeeded);
  return new Folder(federationFolder(resolve(".nexus")));
}

/** A folder keeps the name that it was made with, by its data or by its authority; a new one takes the files'. */
function nameOf(folder: Folder, files: SourceFile[]): string {
  if (existsSync(folder.identity)) return readFileSync(folder.identity, "utf8").trim();
  return Authority.federationOf(folder.authority) ?? federationOf(files);
}

/** The folder need not be up, nor have been: `down` must end one that is just starting. */
function runningFolder(tools: Tools): Folder {
  const { dir: named, context } = tools.options;
  const root =
    named ?? (context === undefined && !process.env["NEXUS_CONTEXT"] ? folderAbove(process.cwd()) : undefined);
  if (root !== undefined) {
    const given = new Folder(resolve(root));
    if (existsSync(given.desired) || claimant(given)) return given;
  }
  const { dir } = findContext(tools.options).context;
  if (dir === undefined)
    throw new LocalError("INVALID", "this context is not of a federation on this machine; give --dir");
  return new Folder(dir);
}

export async function readFiles(names: string[]): Promise<SourceFile[]> {
  const stdin = names.includes("-") ? (await readStdin()).toString("utf8") : "";
  return names.map((name) => {
    if (name === "-") return { name: "stdin", text: stdin };
    try {
      return { name, text: readFileSync(name, "utf8") };
    } catch (cause) {
      const why = systemSentence(cause) ?? messageOf(cause);
      throw new UsageError(why.startsWith(`${name}: `) ? why : `${name}: ${why}`);
    }
  });
}

function onSignals(act: () => void): { asked: boolean } {
  const state = { asked: false };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (state.asked) return;
      state.asked = true;
      act();
    });
  }
  return state;
}

function whatNext(status: LocalStatus): string {
  const nexus = callOf(status.folder);
  const how = status.supervisor === process.pid ? "Ctrl-C" : `${nexus} down`;
  const endpoint = status.boxes.find((box) => box.http)?.http ?? "";
  if (status.groups.every((group) => group.leader === ""))
    return `The federation ${status.federation} serves nothing yet: see ${nexus} status. ${how} stops it.`;
  return [
    `The federation ${status.federation} serves at ${endpoint} (HTTP and gRPC). In another terminal, in this folder:`,
    `  echo hello | ${nexus} put /docs/hello.txt`,
    `  ${nexus} get /docs/hello.txt`,
    `  ${nexus} status`,
    `${how} stops it; the data stays and the next \`nexus up\` goes on with it.`,
  ].join("\n");
}

/** How `nexus` is called from this folder, about the federation of `root`. */
function callOf(root: string): string {
  const launcher = resolve(import.meta.dirname, "../../..", "nexus");
  const isHere = existsSync("nexus") && realpathSync("nexus") === launcher;
  const program = isHere ? "./nexus" : existsSync(launcher) ? launcher : "nexus";
  return dirname(root) === resolve(".nexus") ? program : `${program} --dir ${relative(process.cwd(), root) || "."}`;
}
