// `kubectl nexus` as people have it: the plugin is found by the real kubectl in PATH.
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { must, type Outcome, run } from "../../cluster/programs.ts";
import type { ClusterContext } from "../../cluster/suite.ts";

const root = resolve(import.meta.dirname, "../../..");

export interface Plugin {
  /** A shell's line, as runbooks have them. */
  shell(line: string): Promise<string>;
  /** `kubectl nexus` in that namespace, however it ends. */
  run(namespace: string, args: readonly string[], input?: string): Promise<Outcome>;
  /** What it printed; fails with its words when it fails. */
  nexus(namespace: string, args: readonly string[], input?: string): Promise<string>;
}

/** For the suite that it is called in. */
export function pluginOf(context: ClusterContext | undefined): Plugin {
  const folder = mkdtempSync(join(tmpdir(), "nexus-plugin-"));
  beforeAll(async () => {
    const { kubectl } = context!;
    symlinkSync(kubectl.includes("/") ? kubectl : (await must(["which", kubectl])).trim(), join(folder, "kubectl"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const env = () => ({
    PATH: [folder, root, dirname(process.execPath), "/usr/bin", "/bin"].join(":"),
    KUBECONFIG: context!.kubeconfig,
  });
  const plugin: Plugin = {
    shell: (line) => must(["/bin/sh", "-c", line], { env: env() }),
    run: (namespace, args, input) => {
      const [verb = "", ...more] = args;
      const given = input === undefined ? {} : { input };
      return run([join(folder, "kubectl"), "nexus", verb, "-n", namespace, ...more], { env: env(), ...given });
    },
    nexus: async (namespace, args, input) => {
      const { code, stdout, stderr } = await plugin.run(namespace, args, input);
      expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
      return stdout;
    },
  };
  return plugin;
}
