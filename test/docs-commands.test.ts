// Commands that the pages tell people to type: verbs, options, kinds and annotations must be those that exist.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { kubectlNexus } from "@nexus-federation/cli/kubectl/program.ts";
import { nexusProgram } from "@nexus-federation/cli/program.ts";
import { kindNames, kinds } from "@nexus-federation/operator/api/kinds.ts";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const pages = ["docs/runbooks", "docs/how-to", "docs/concepts"].flatMap((folder) =>
  readdirSync(join(root, folder), { encoding: "utf8" }).map((name) => join(root, folder, name)),
);

/** Whatever is set as code, in lines of its own or inside a sentence. */
function commandsOf(text: string): string[] {
  const blocks = [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap((match) => match[1]!.split("\n"));
  const spans = [...text.replaceAll(/```.*?```/gs, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
  return [...blocks, ...spans].map((line) => line.trim().replace(/ *#.*$/, ""));
}

/** Words behind the program's name, up to a pipe, `--` or the end. */
function wordsAfter(line: string, program: RegExp): string[] | undefined {
  const found = program.exec(line);
  if (found === null) return undefined;
  const words = line
    .slice(found.index + found[0].length)
    .split(/\s+/)
    .filter(Boolean);
  const end = words.findIndex((word) => ["--", "|", ";", "&&", ">"].includes(word));
  return end < 0 ? words : words.slice(0, end);
}

/** What is wrong with the call; undefined when its verb and all its options exist. */
function faultOf(program: Command, words: readonly string[]): string | undefined {
  let at = program;
  const known = () => [...program.options, ...at.options];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!.replace(/[.,;:)]+$/, "");
    if (word.startsWith("-") && word !== "-") {
      const [name] = word.split("=");
      if (name === "--help") continue;
      const option = known().find(({ short, long }) => short === name || long === name);
      if (option === undefined) return `${at.name()} has no option ${name}`;
      if (option.required && !word.includes("=")) i++;
      continue;
    }
    if (at.commands.length === 0) continue;
    const next = at.commands.find((command) => command.name() === word);
    if (next === undefined) return `${at.name()} has no verb ${word}`;
    at = next;
  }
  return undefined;
}

describe.each(pages.map((page) => [relative(root, page), page]))("%s", (_name, page) => {
  const text = readFileSync(page, "utf8");
  const commands = commandsOf(text);

  test("calls nexus and kubectl nexus as they are", () => {
    for (const line of commands) {
      const plugin = wordsAfter(line, /(^|\s)kubectl nexus(?=\s)/);
      const own = plugin ? undefined : wordsAfter(line, /(^|\|\s*)(\.\/)?nexus(?=\s)/);
      const fault = plugin ? faultOf(kubectlNexus("kubectl"), plugin) : own && faultOf(nexusProgram(), own);
      expect(fault, line).toBeUndefined();
    }
  });

  test("names annotations and kinds that exist", () => {
    for (const [, name] of text.matchAll(/federation\.nexus\.io\/([a-z][a-z-]+)/g))
      expect(
        [
          "drain",
          "fence",
          "hibernate",
          "pause",
          "replace-volume",
          "confirm-delete",
          "rotate-authority",
          "box",
          "in-use",
        ],
        name,
      ).toContain(name);
    const known = kindNames.flatMap((kind) => [kinds[kind].plural, kinds[kind].shortName, kind.toLowerCase()]);
    const core = [
      "pod",
      "pods",
      "pvc",
      "node",
      "nodes",
      "events",
      "secret",
      "secrets",
      "svc",
      "lease",
      "nexus",
      "statefulset",
    ];
    for (const line of commands) {
      const kind = /kubectl(?: -n \S+)* (?:get|describe|annotate|explain|wait|delete) ([a-z,]+)(?=[\s/.]|$)/.exec(
        line,
      )?.[1];
      for (const each of kind?.split(",") ?? [])
        expect([...known, ...core, "namespace", "deployment", "certificate", "storageclass"], line).toContain(each);
    }
  });
});

test("the check finds a verb, an option and a sub-verb that do not exist", () => {
  expect(faultOf(nexusProgram(), ["fly", "/a"])).toContain("no verb fly");
  expect(faultOf(nexusProgram(), ["put", "/a", "--quick"])).toContain("no option --quick");
  expect(faultOf(nexusProgram(), ["raft", "fly"])).toContain("no verb fly");
  expect(faultOf(nexusProgram(), ["put", "/a", "README.md", "--fence", "$NEXUS_FENCE"])).toBeUndefined();
});
