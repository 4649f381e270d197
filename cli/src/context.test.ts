import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Folder } from "@nexus-federation/operator/backends/local/folder.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { contextsPath, findContext, folderAbove, forgetFolder, readContexts, rememberFolder } from "./context.ts";

let root: string;
const before = process.env["XDG_CONFIG_HOME"];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "nexus-context-"));
  process.env["XDG_CONFIG_HOME"] = join(root, "config");
});
afterEach(() => {
  if (before === undefined) delete process.env["XDG_CONFIG_HOME"];
  else process.env["XDG_CONFIG_HOME"] = before;
  rmSync(root, { recursive: true, force: true });
});

function folderOf(name: string, federation: string): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  const context = { federation, endpoints: [`127.0.0.1:${name.length}`], token: "secret", ca: "PEM", dir: folder };
  writeFileSync(join(folder, "context.json"), JSON.stringify(context));
  return folder;
}

test("a federation of this machine is a context under its name, current when none is, readable by its owner only", () => {
  expect(rememberFolder(folderOf("a", "acme"))).toBe("acme");
  expect(rememberFolder(folderOf("b", "beta"))).toBe("beta");

  expect(readContexts()).toMatchObject({
    current: "acme",
    contexts: { beta: { dir: join(root, "b"), token: "secret" } },
  });
  expect(statSync(contextsPath()).mode & 0o777).toBe(0o600);
  expect(findContext({ context: "beta" })).toMatchObject({ name: "beta", settings: { federation: "beta" } });
});

test("another folder of the same name gets a number, and keeps it; the name of a folder that is gone is free", () => {
  const first = folderOf("a", "default");
  rememberFolder(first);
  const second = folderOf("bb", "default");

  expect(rememberFolder(second)).toBe("default-2");
  expect(rememberFolder(second)).toBe("default-2");
  rmSync(first, { recursive: true });
  expect(rememberFolder(folderOf("ccc", "default"))).toBe("default");
});

test("a deleted folder's context goes, and with it the choice of it", () => {
  const folder = folderOf("a", "acme");
  rememberFolder(folder);
  rememberFolder(folderOf("b", "beta"));

  forgetFolder(folder);

  expect(Object.keys(readContexts().contexts)).toEqual(["beta"]);
  expect(readContexts().current).toBeUndefined();
  expect(() => findContext({ context: "acme" })).toThrow("known: beta");
});

test("a folder without a context yet is not remembered", () => {
  expect(rememberFolder(root)).toBeUndefined();
});

test("a folder into which a pod mounts the federation's Secret is a context; so is one of a federation that runs elsewhere", () => {
  const mounted = join(root, "mounted");
  mkdirSync(mounted);
  const files = { endpoint: "nexus-federation.files.svc:2026", federation: "files", token: "secret", "ca.crt": "PEM" };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(mounted, name), text);
  const elsewhere = folderOf("elsewhere", "acme");
  writeFileSync(join(elsewhere, "context.json"), JSON.stringify({ federation: "acme", endpoints: ["box:2026"] }));

  expect(findContext({ dir: mounted }).settings).toEqual({
    federation: "files",
    endpoints: ["nexus-federation.files.svc:2026"],
    token: "secret",
    ca: "PEM",
  });
  expect(findContext({ dir: elsewhere }).context.dir).toBeUndefined();
});

test("a folder whose first up has not come to a context yet is the one that is meant, not the current context", () => {
  rememberFolder(folderOf("a", "acme"));
  const starting = join(root, "here/.nexus/default");
  new Folder(starting).create();

  expect(folderAbove(join(root, "here"))).toBe(starting);
  expect(() => findContext({ dir: starting })).toThrow("is not up yet");
});
