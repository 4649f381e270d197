// A disk of our own: a file as a block device with ext4 on it, so that its read-ahead and its speed can be set.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface LoopDisk {
  /** major:minor, as the kernel's groups name it. */
  number: string;
  /** Forgets every page of it that is in memory. */
  forget(): void;
  /** When nothing uses it any more. */
  remove(): void;
}

/** Linux's ordinary read-ahead, 128 KiB. Some virtual disks ask for megabytes, which small memory groups cannot hold. */
const readAheadSectors = 256;

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

/** Mounts a new one at `folder`; the reason, as a text, when this machine does not let us. */
export function loopDisk(folder: string, mib: number): LoopDisk | string {
  const image = `${folder}.image`;
  const undo: (() => void)[] = [() => rmSync(image, { force: true })];
  const remove = () => {
    for (const step of undo.splice(0).reverse()) step();
  };
  try {
    mkdirSync(folder, { recursive: true });
    run("truncate", "-s", `${mib}M`, image);
    run("mkfs.ext4", "-q", "-m", "0", image);
    const device = run("losetup", "-f", "--show", image);
    undo.push(() => run("losetup", "-d", device));
    run("blockdev", "--setra", String(readAheadSectors), device);
    run("mount", device, folder);
    undo.push(() => run("umount", folder));
    const number = run("lsblk", "-dno", "MAJ:MIN", device);
    const forget = () => {
      run("umount", folder);
      run("mount", device, folder);
    };
    return { number, forget, remove };
  } catch (error) {
    remove();
    return `no disk can be made from a file (${error})`;
  }
}

const throttles = "/sys/fs/cgroup/blkio";

/**
 * A process writes so many bytes, or so often, a second to the disk, and no more. The function ends that for `after`, the
 * process then. Throws where the kernel has no throttle.
 */
export function throttle(disk: LoopDisk, what: "bytes" | "writes", aSecond: number, pid: number) {
  const group = join(throttles, `nexus-throttle-${process.pid}`);
  const file = join(group, `blkio.throttle.write_${what === "bytes" ? "bps" : "iops"}_device`);
  const limit = (value: number) => writeFileSync(file, `${disk.number} ${value}`);
  mkdirSync(group, { recursive: true });
  limit(aSecond);
  writeFileSync(join(group, "cgroup.procs"), String(pid));
  return (after = pid) => {
    limit(0);
    writeFileSync(join(throttles, "cgroup.procs"), String(after));
    rmdirSync(group);
  };
}
