// --json of every verb: one JSON value on stdout, and nothing else there.
import { join } from "node:path";
import { nexusProgram } from "@nexus-federation/cli/program.ts";
import type { Command } from "commander";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { zone } from "../harness/yaml.ts";

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.up({ example: "quickstart.yaml" });
  federation.file("j.yaml", zone("j", "/j/**", "mode: strong, authorityBox: nexus-1"));
});
afterAll(async () => {
  expect(await federation?.down()).toEqual([]);
});

/** Verbs whose output is somebody else's: a log, a script, a stream of values (e2e/cli.test.ts). */
const others = ["completion", "logs", "watch"];

/** In this order; the verb is the key up to a comma. */
const calls = (files: { zone: string; backup: string; copy: string }): Record<string, string[]> => ({
  apply: ["apply", "-f", files.zone],
  mkdir: ["mkdir", "-p", "/j/d"],
  put: ["put", "/j/a", "README.md"],
  "put,-r": ["put", "-r", "/j/tree", "examples/gitops"],
  get: ["get", "/j/a", "-o", files.copy],
  "get,content": ["get", "/j/a"],
  "get,-r": ["get", "-r", "/j/tree", "-o", `${files.copy}.d`],
  ls: ["ls", "/j"],
  stat: ["stat", "/j/a"],
  cp: ["cp", "/j/a", "/j/b"],
  mv: ["mv", "/j/b", "/j/c"],
  rm: ["rm", "/j/c"],
  batch: ["batch"],
  lock: ["lock", "/j/lock", "--show"],
  status: ["status"],
  switchover: ["switchover", "root"],
  "raft transfer": ["raft", "transfer", "root"],
  "raft members": ["raft", "members"],
  "zone ls": ["zone", "ls"],
  "box ls": ["box", "ls"],
  backup: ["backup", "j", files.backup],
  restore: ["restore", "again", files.backup, "--path", "/again/**"],
  bench: ["bench", "--duration", "100ms", "--clients", "1", "--path", "/bench"],
  doctor: ["doctor"],
  "context ls": ["context", "ls"],
  "context use": ["context", "use", "default"],
  "context show": ["context", "show"],
  delete: ["delete", "-f", files.zone],
  "zone destroy": ["zone", "destroy", "j", "--confirm", "j"],
  down: ["down"],
  up: ["up", "--detach"],
});
const keys = Object.keys(calls({ zone: "", backup: "", copy: "" }));
/** Shown where what they change is looked at. */
const elsewhere = ["box remove", "box revoke"];

function leaves(command: Command, path: string[] = []): string[] {
  if (command.commands.length === 0) return [path.join(" ")];
  return command.commands.flatMap((below) => leaves(below, [...path, below.name()]));
}

const files = () => ({
  zone: join(federation.root, "j.yaml"),
  backup: join(federation.root, "j.backup"),
  copy: join(federation.root, "copy"),
});

test("every verb is in the table", () => {
  const named = new Set(keys.map((key) => key.split(",")[0]!));
  const known = leaves(nexusProgram()).filter((verb) => !others.includes(verb) && !elsewhere.includes(verb));

  expect([...named].sort()).toEqual(known.sort());
});

test.each(keys)("nexus %s ends with 0 and answers with one JSON value when asked to", async (key) => {
  const words = calls(files())[key]!;
  const input = key === "batch" ? '{"op":"write","path":"/j/batch","content":"x"}\n' : "";
  const ran = await federation.nexus([...words, "--json"], { input, timeoutMs: 120_000 });

  expect(() => JSON.parse(ran.stdout), `${ran.stdout}${ran.stderr}`).not.toThrow();
  expect(ran.code, `${ran.stdout}${ran.stderr}`).toBe(0);
});
