// The house check: every file imports only from lower floors, pure rooms stay pure, no file outgrows the page.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { checkFile, type House } from "./house.ts";

const root = resolve(import.meta.dirname, "..");

const house: House = {
  root,
  /** Lowest first; a workspace imports from those before it. */
  workspaces: ["proto", "node", "operator", "cli"],
  floors: {
    "node/src": [
      ["base"],
      ["raft", "gossip", "crdt", "register", "tree", "machine", "auth"],
      ["log", "storage", "blobs", "transport", "discovery", "registry", "telemetry"],
      ["client", "group", "witness"],
      ["zones"],
      ["box"],
      ["server"],
    ],
    "operator/src": [["api"], ["planner"], ["runtime"], ["backends"], ["controllers"]],
  },
  /** May import within one floor all the same: the machine's patterns are the tree's. */
  neighbours: { "node/src": { machine: ["tree"] }, "operator/src": {} },
  pure: [
    "node/src/base",
    "node/src/raft",
    "node/src/gossip",
    "node/src/crdt",
    "node/src/register",
    "node/src/tree",
    "node/src/machine",
    "node/src/auth",
    "operator/src/planner",
  ],
  testOnly: ["conformance", "testing", "check", "gen"],
  operatorMayImport: ["base", "tree", "client", "transport"],
  recordFiles: ["records.ts", "command.ts", "raft.ts"],
  linesMax: 400,
};

const files = house.workspaces
  .filter((workspace) => workspace !== "proto")
  .map((workspace) => join(root, workspace, "src"))
  .filter(existsSync)
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)))
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
  .sort();

describe("the house", () => {
  for (const file of files) {
    test(`${relative(root, file)} keeps to its floor`, () => {
      expect(checkFile(house, file, readFileSync(file, "utf8"))).toEqual([]);
    });
  }

  test("the check fails when a floor, purity, the page or an import is broken", () => {
    const broken = (path: string, text: string) => checkFile(house, join(root, path), text);

    expect(broken("node/src/raft/x.ts", 'import { a } from "../group/api.ts";')).toHaveLength(1);
    expect(broken("node/src/raft/x.ts", 'import fs from "node:fs";')).toHaveLength(1);
    expect(broken("node/src/raft/x.ts", "const now = Date.now();")).toHaveLength(1);
    expect(broken("node/src/base/x.ts", 'import { a } from "./nothing-here.ts";')).toHaveLength(1);
    expect(broken("node/src/log/x.ts", "//\n".repeat(401))).toHaveLength(1);
    expect(broken("operator/src/api/x.ts", 'import { a } from "@nexus-federation/node/group/api.ts";')).toHaveLength(1);
    expect(dirname(broken("node/src/base/x.ts", "export const a = 1;").join())).toBe(".");
  });
});
