// up, apply, delete, down, logs: the local federation of a folder.
import { spawn } from "node:child_process";
import { createReadStream, existsSync, openSync, readFileSync, statSync, watch } from "node:fs";
import { join, resolve } from "node:path";
import { NexusError } from "@nexus-federation/node/base/errors.ts";
import { type LoadFault, printFault, type SourceFile } from "@nexus-federation/operator/api/load.ts";
import { callSupervisor } from "@nexus-federation/operator/backends/local/control.ts";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import type { ApplyOutcome, LocalStatus } from "@nexus-federation/operator/backends/local/status.ts";
import { federationOf, LocalRuntime } from "@nexus-federation/operator/local.ts";
import type { Command } from "commander";
import { federationFolder, findContext } from "../context.ts";
import { parseDuration, type Tools, UsageError, verb } from "../tools.ts";
import { statusText } from "./status.ts";

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
      "YAML files of Box, RaftGroup, ConsensusZone (- is stdin); may be left out the second time",
      [],
    )
    .option("--detach", "leave the processes running and give the shell back")
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
    .description("stop the federation's processes")
    .option("--delete-data", "and delete its folder, data included")
    .action(verb(down));
  program
    .command("logs <name>")
    .description("log of a box or witness")
    .option("-F, --follow", "keep printing")
    .option("-n, --lines <n>", "last lines only", "200")
    .action(verb(logs));
}

async function up(tools: Tools, flags: FileFlags & { detach?: boolean }): Promise<number> {
  const files = readFiles(flags.file);
  const folder = upFolder(tools, files);
  if (files.length === 0 && !existsSync(folder.desired))
    throw new UsageError("up: give -f FILE (examples/quickstart.yaml is a start)");
  const waitMs = parseDuration(flags.wait, "--wait");
  if (flags.detach) return upDetached(tools, { folder, files: flags.file, waitMs });
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const runtime = await LocalRuntime.open({
    folder: folder.root,
    federation: nameOf(folder),
    detached: false,
    report: say,
  });
  const stop = onSignals(() => {
    say("stopping ...");
    void runtime.stop();
  });
  const outcome = await runtime.start(files);
  if (outcome.refused.length > 0) {
    await runtime.stop();
    return refused(tools, outcome.refused);
  }
  for (const note of outcome.notes) say(note);
  const status = await runtime.settle(waitMs);
  if (!stop.asked) {
    tools.print(`${statusText(status)}\n\n${whatNext(status)}`, status);
    for (const fault of status.faults) say(`${fault.object}: ${fault.reason}: ${fault.message}`);
  }
  await runtime.finished();
  return 0;
}

/** Starts a supervisor of its own session and waits until it has settled. */
async function upDetached(tools: Tools, what: { folder: Folder; files: string[]; waitMs: number }): Promise<number> {
  const { folder } = what;
  if (what.files.includes("-")) throw new UsageError("up --detach: give files, not stdin");
  folder.create();
  const log = openSync(folder.log("supervisor"), "a", 0o600);
  const main = resolve(import.meta.dirname, "../main.ts");
  const args = [
    ...process.execArgv,
    main,
    "--dir",
    folder.root,
    "up",
    "--wait",
    `${what.waitMs}ms`,
    ...what.files.flatMap((file) => ["-f", resolve(file)]),
  ];
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", log, log] });
  let exit: number | undefined;
  child.once("exit", (code) => {
    exit = code ?? 1;
  });
  const until = performance.now() + what.waitMs;
  while (performance.now() < until) {
    const status = await callSupervisor(folder, { verb: "settle", timeoutMs: 1000 }).catch(() => undefined);
    if (exit !== undefined) {
      process.stderr.write(readFileSync(folder.log("supervisor"), "utf8").split("\n").slice(-15).join("\n"));
      return exit === 0 ? 1 : exit;
    }
    if (status?.settled) {
      child.unref();
      tools.print(`${statusText(status)}\n\n${whatNext(status)}`, status);
      return status.faults.length > 0 ? 1 : 0;
    }
    await new Promise((go) => setTimeout(go, 100));
  }
  child.unref();
  throw new NexusError(
    "DEADLINE",
    `the federation is not ready after ${what.waitMs} ms; it goes on starting: see nexus status and nexus logs`,
  );
}

async function change(tools: Tools, kind: "apply" | "delete", flags: FileFlags): Promise<number> {
  const folder = runningFolder(tools);
  const files = readFiles(flags.file);
  const outcome: ApplyOutcome = await callSupervisor(folder, { verb: kind, files });
  if (outcome.refused.length > 0) return refused(tools, outcome.refused);
  for (const note of outcome.notes) process.stderr.write(`${note}\n`);
  const waitMs = parseDuration(flags.wait, "--wait");
  const status = waitMs > 0 ? await callSupervisor(folder, { verb: "settle", timeoutMs: waitMs }) : undefined;
  const faults = status?.faults ?? outcome.faults;
  const done = status === undefined || status.settled ? "" : "\nstill working on it: see nexus status";
  const text = [
    ...outcome.taken.map((object) => `${object} ${kind === "apply" ? "applied" : "retired"}`),
    ...faults.map((f) => `${f.object}: ${f.reason}: ${f.message}`),
  ];
  tools.print(text.join("\n") + done, {
    taken: outcome.taken,
    faults,
    settled: status?.settled ?? false,
    notes: outcome.notes,
  });
  return faults.length > 0 || done !== "" ? 1 : 0;
}

function refused(tools: Tools, faults: LoadFault[]): number {
  if (tools.json) tools.print("", { refused: faults });
  for (const fault of faults) process.stderr.write(`${printFault(fault)}\n`);
  process.stderr.write("nexus: INVALID: nothing was changed\n");
  return 1;
}

async function down(tools: Tools, flags: { deleteData?: boolean }): Promise<void> {
  const folder = runningFolder(tools);
  await callSupervisor(folder, { verb: "down", deleteData: flags.deleteData ?? false });
  const until = performance.now() + 10_000;
  while (
    performance.now() < until &&
    (await callSupervisor(folder, { verb: "status" }).then(
      () => true,
      () => false,
    ))
  ) {
    await new Promise((go) => setTimeout(go, 50));
  }
  tools.print(flags.deleteData ? `${folder.root}: stopped and deleted` : `${folder.root}: stopped, data kept`, {
    folder: folder.root,
    deleted: flags.deleteData ?? false,
  });
}

async function logs(tools: Tools, name: string, flags: { follow?: boolean; lines: string }): Promise<void> {
  const folder = runningFolder(tools);
  const file = folder.log(name);
  if (!existsSync(file)) throw new NexusError("NOT_FOUND", `${name}: no log in ${join(folder.root, "logs")}`);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  process.stdout.write(`${lines.slice(-Number(flags.lines)).join("\n")}\n`);
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

/** --dir, or .nexus/<federation> here. */
function upFolder(tools: Tools, files: SourceFile[]): Folder {
  const { dir } = tools.options;
  if (dir !== undefined) return new Folder(resolve(dir));
  if (files.length > 0) return new Folder(resolve(".nexus", nameOfFiles(files)));
  return new Folder(federationFolder(resolve(".nexus")));
}

function nameOfFiles(files: SourceFile[]): string {
  const declared = federationOf(files);
  return declared === "default" ? "local" : declared;
}

/** A folder that was up before keeps its name; else the files' trust domain; else `local`. */
function nameOf(folder: Folder): string {
  if (existsSync(folder.identity)) return readFileSync(folder.identity, "utf8").trim();
  return nameOfFiles(
    readFiles(
      process.argv
        .flatMap((word, i) => (process.argv[i - 1] === "-f" || process.argv[i - 1] === "--file" ? [word] : []))
        .filter((f) => f !== "-"),
    ),
  );
}

function runningFolder(tools: Tools): Folder {
  const { dir } = findContext(tools.options).context;
  if (dir === undefined)
    throw new NexusError("INVALID", "this context is not of a federation on this machine; give --dir");
  return new Folder(dir);
}

export function readFiles(names: string[]): SourceFile[] {
  return names.map((name) => {
    try {
      return { name: name === "-" ? "stdin" : name, text: readFileSync(name === "-" ? 0 : name, "utf8") };
    } catch (cause) {
      throw new UsageError(`${name}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? cause})`);
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
  const endpoint = status.boxes.find((box) => box.http)?.http ?? "";
  return [
    `The federation ${status.federation} serves at ${endpoint} (HTTP and gRPC). In another terminal, in this folder:`,
    "  echo hello | ./nexus put /docs/hello.txt",
    "  ./nexus get /docs/hello.txt",
    "  ./nexus status",
    "Ctrl-C stops it; the data stays and the next `nexus up` goes on with it.",
  ].join("\n");
}
