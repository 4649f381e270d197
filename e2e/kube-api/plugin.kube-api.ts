// `kubectl nexus` as a plugin of the real kubectl, on a real API server: what it does without pods.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../harness/run.ts";
import { controlPlane, installCrds, kubectl, newNamespace, side, thePlane } from "./harness/api.ts";

const execute = promisify(execFile);

describe.skipIf(!controlPlane)("kubectl nexus", () => {
  const folder = mkdtempSync(join(tmpdir(), "nexus-plugin-"));
  let namespace = "";

  /** The real kubectl finds the plugin in PATH. */
  async function nexus(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const env = {
      ...process.env,
      PATH: `${folder}:${checkout}:${dirname(process.execPath)}:/usr/bin:/bin`,
      KUBECONFIG: thePlane().kubeconfig,
    };
    const [name, ...more] = args;
    return execute(join(folder, "kubectl"), ["nexus", name!, "-n", namespace, ...more], { env, cwd: folder }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
    );
  }
  const box = async (name: string) =>
    JSON.parse(await kubectl(["-n", namespace, "get", "box", name, "-o", "json", "--show-managed-fields"]));

  beforeAll(async () => {
    symlinkSync(thePlane().kubectl, join(folder, "kubectl"));
    const { client } = side();
    await installCrds(client);
    namespace = await newNamespace(client);
    await kubectl(["-n", namespace, "apply", "-f", join(checkout, "examples/quickstart.yaml")]);
    await kubectl(["-n", namespace, "create", "secret", "generic", "nexus-token", "--from-literal=token=geheim"]);
    await kubectl(["-n", namespace, "label", "secret", "nexus-token", "app.kubernetes.io/managed-by=nexus-operator"]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("status shows every resource, and says when no operator has looked at it", async () => {
    const { stdout, code } = await nexus("status");

    expect(code).toBe(0);
    expect(stdout).toMatch(/^Box\/nexus-1 +Unknown +no operator has looked at it yet$/m);
    expect(stdout).toContain("the boxes could not be asked: no data box of this namespace has a running pod");
  });

  test.each(["drain", "fence", "hibernate"])(
    "%s is an annotation with the name of who asked, and is taken back",
    async (intent) => {
      const annotation = `federation.nexus.io/${intent}`;
      expect((await nexus(intent, "nexus-1")).stdout).toContain("nexus-1: asked");

      const { metadata } = await box("nexus-1");
      expect(metadata.annotations[annotation]).toBe("true");
      const by = metadata.managedFields.find((each: { fieldsV1: object }) =>
        JSON.stringify(each.fieldsV1).includes(annotation),
      );
      expect(by.manager).toBe("admin");
      expect((await nexus("status", "--no-boxes")).stdout).toContain(`[${intent}]`);

      expect((await nexus(intent, "nexus-1", "--off", "--json")).stdout).toContain('"on":false');
      expect((await box("nexus-1")).metadata.annotations[annotation]).toBeUndefined();
    },
  );

  test("an intent for all boxes reaches each, and for none is a wrong call", async () => {
    await nexus("hibernate", "--all");

    expect((await box("nexus-1")).metadata.annotations["federation.nexus.io/hibernate"]).toBe("true");
    expect((await box("witness-1")).metadata.annotations["federation.nexus.io/hibernate"]).toBe("true");
    await nexus("hibernate", "--all", "--off");
    expect(await nexus("drain")).toMatchObject({ code: 2 });
  });

  test("a verb that needs boxes says so when none runs", async () => {
    const { code, stderr } = await nexus("get", "/docs/a");

    expect(code).toBe(1);
    expect(stderr).toContain("nexus: ZONE_UNAVAILABLE: no data box of this namespace has a running pod");
  });

  test("a namespace that is not there is kubectl's own sentence", async () => {
    const { code, stderr } = await nexus("drain", "nobody");

    expect(code).toBe(1);
    expect(stderr).toContain('"nobody" not found');
  });

  test("a report holds resources and events, and the value of no Secret", async () => {
    const file = join(folder, "report.tar.gz");
    expect((await nexus("report", file, "--no-boxes")).code).toBe(0);
    await execute("tar", ["-xzf", file, "-C", folder]);

    const root = join(folder, readdirSync(folder).find((name) => name.startsWith("nexus-report-"))!);
    const all = readdirSync(root, { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
      .join("\n");
    expect(readFileSync(join(root, "resources.yaml"), "utf8")).toContain("name: nexus-1");
    expect(readFileSync(join(root, "secrets.txt"), "utf8")).toContain("nexus-token Opaque token");
    expect(all).not.toContain("geheim");
    expect(all).not.toContain(Buffer.from("geheim").toString("base64"));
    expect((await nexus("report", file)).code).toBe(2);
  });
});
