// A program on a file system of its own, as in a fresh container: no page of it is in memory, so every page that runs is
// charged to the memory group of whoever runs it. Read-ahead is Linux's ordinary 128 KiB: with the megabytes that some
// virtual disks ask for, any small group spends its time on throwing away what it read ahead.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";

export interface ColdProgram {
  /** Path of the copy. */
  path: string;
  /** When no process runs it any more. */
  remove(): void;
}

const readAheadSectors = 256;
/** For the file system's own tables. */
const spareMib = 64;

/** A copy of `program` in a loop device at `folder`; the reason, as a text, when this machine does not let us. */
export function coldProgram(program: string, folder: string): ColdProgram | string {
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  const image = `${folder}.image`;
  const undo: (() => void)[] = [() => rmSync(image, { force: true }), () => rmSync(folder, { recursive: true })];
  const remove = () => {
    for (const step of undo.splice(0).reverse()) step();
  };
  try {
    mkdirSync(folder);
    run("truncate", "-s", `${Math.ceil(statSync(program).size / 1024 / 1024) + spareMib}M`, image);
    run("mkfs.ext4", "-q", "-m", "0", image);
    const device = run("losetup", "-f", "--show", image);
    undo.push(() => run("losetup", "-d", device));
    run("blockdev", "--setra", String(readAheadSectors), device);
    run("mount", device, folder);
    run("cp", program, folder);
    run("umount", folder);
    run("mount", device, folder);
    undo.push(() => run("umount", folder));
    return { path: join(folder, basename(program)), remove };
  } catch (error) {
    remove();
    return `no program can be laid on a loop device (${error})`;
  }
}
