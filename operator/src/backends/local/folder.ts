// The folder of one local federation (default .nexus/<federation>): what `nexus up` keeps, and where.
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export class Folder {
  readonly root: string;
  constructor(root: string) {
    this.root = root;
  }

  /** 0700: it holds keys and a token. Idempotent. */
  create(): void {
    makeFolders(resolve(this.root));
    chmodSync(this.root, 0o700);
    for (const part of ["ca", "certs", "boxes", "run", "logs"])
      mkdirSync(join(this.root, part), { recursive: true, mode: 0o700 });
  }

  get desired(): string {
    return join(this.root, "desired.yaml");
  }
  get authority(): string {
    return join(this.root, "ca");
  }
  /** Token hashes that boxes accept. */
  get tokens(): string {
    return join(this.root, "tokens.json");
  }
  /** Where the federation is and the token of its owner: what the command line reads. */
  get context(): string {
    return join(this.root, "context.json");
  }
  get ports(): string {
    return join(this.root, "ports.json");
  }
  /** What must outlive the boxes: the name of the federation that was started. */
  get identity(): string {
    return join(this.root, "federation.json");
  }
  get socket(): string {
    return join(this.root, "run", "nexus.sock");
  }
  /** Who supervises the folder now. */
  get claim(): string {
    return join(this.root, "run", "supervisor.json");
  }
  get run(): string {
    return join(this.root, "run");
  }
  get logs(): string {
    return join(this.root, "logs");
  }
  certificates(name: string): string {
    return join(this.root, "certs", name);
  }
  box(name: string): string {
    return join(this.root, "boxes", name);
  }
  config(name: string): string {
    return join(this.root, "run", `${name}.config.json`);
  }
  process(name: string): string {
    return join(this.root, "run", `${name}.json`);
  }
  log(name: string): string {
    return join(this.root, "logs", `${name}.log`);
  }
}

/** Replaces the file in one step, mode 0600. */
export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Node's own `recursive` never returns where no folder can be made (/proc). */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
