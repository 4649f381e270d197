// The Helm chart on a control plane of its own: shared suites have the definitions installed without Helm.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binaries, whyNoBinaries } from "../cluster/binaries.ts";
import { type ControlPlane, startControlPlane } from "../cluster/control-plane.ts";
import { must, type Outcome, run, until } from "../cluster/programs.ts";

const chart = resolve(import.meta.dirname, "../../charts/nexus");
const everything = [
  ...["networkPolicies.enabled=true", "monitoring.podMonitor.enabled=true", "monitoring.alerts.enabled=true"],
  ...["monitoring.dashboard.enabled=true", "namespaces={files,jobs}", "imagePullSecrets={pull}"],
  "image.registry=images.example.org/team/",
].flatMap((value) => ["--set", value]);
const box = {
  apiVersion: "federation.nexus.io/v1alpha1",
  kind: "Box",
  metadata: { name: "nexus-1", finalizers: ["federation.nexus.io/in-use"] },
  spec: { region: "local" },
};
const why = await whyNoBinaries(["etcd", "kube", "helm"]);

describe.skipIf(why)("the chart", () => {
  const dir = mkdtempSync(join(tmpdir(), "nexus-chart-"));
  let plane: ControlPlane;
  let helmProgram = "";
  const helm = (...args: string[]) => must([helmProgram, "--kubeconfig", plane.kubeconfig, ...args]);
  const attempt = (args: string[], input?: string): Promise<Outcome> =>
    run([plane.binaries.kubectl, "--kubeconfig", plane.kubeconfig, ...args], { input });
  const kubectl = async (args: string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await attempt(args, input);
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  };

  beforeAll(async () => {
    helmProgram = (await binaries(["helm"])).helm;
    plane = await startControlPlane({ dir, controllerManager: true });
  }, 900_000);
  afterAll(async () => {
    await plane?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test("passes lint, and a value that does not exist is refused by name", async () => {
    await must([helmProgram, "lint", "--strict", chart]);
    const refused = await run([helmProgram, "template", chart, "--set", "replica=3"]);

    expect(refused.stderr).toContain("'replica'");
  });

  test("renders what the snapshots say", async () => {
    const small = ["--set", "crds.enabled=false"];
    const render = (...args: string[]) =>
      must([helmProgram, "template", "nexus", chart, "-n", "nexus-system", ...args]);

    await expect(await render(...small)).toMatchFileSnapshot("snapshots/chart-defaults.yaml");
    await expect(await render(...small, ...everything)).toMatchFileSnapshot("snapshots/chart-everything.yaml");
  });

  test("is installed, upgraded, uninstalled and installed again without losing a resource", async () => {
    const here = ["-n", "nexus-system"];
    await helm("install", "nexus", chart, ...here, "--create-namespace");
    await kubectl(["wait", "--for=condition=Established", "crd", "--all"]);
    await kubectl(["create", "namespace", "files"]);
    await kubectl(["-n", "files", "apply", "-f", "-"], JSON.stringify(box));
    const uid = () => kubectl(["-n", "files", "get", "box", "nexus-1", "-o", "jsonpath={.metadata.uid}"]);
    const before = await uid();

    await helm("upgrade", "nexus", chart, ...here, "--set", "replicas=3");
    // No node is here that could run its last Job.
    await helm("uninstall", "nexus", ...here, "--no-hooks");
    expect(await uid()).toBe(before);
    await helm("install", "nexus", chart, ...here);

    expect(await uid()).toBe(before);
  });

  test("a box in use is deleted only with its own name as consent", async () => {
    const remove = (...more: string[]) => attempt(["-n", "files", "delete", "box", "nexus-1", "--wait=false", ...more]);
    const refusal = await until(
      "the policy's refusal",
      async () => {
        const outcome = await remove("--dry-run=server");
        return outcome.code !== 0 && outcome.stderr;
      },
      { withinMs: 60_000 },
    );
    expect(refusal).toContain("box nexus-1 holds data of the federation");

    await kubectl(["-n", "files", "annotate", "box", "nexus-1", "federation.nexus.io/confirm-delete=nexus-1"]);

    expect(await remove("--dry-run=server")).toMatchObject({ code: 0 });
  });

  test("a namespace with a box in use can be deleted: its boxes need no consent then", async () => {
    await kubectl(["create", "namespace", "going"]);
    await kubectl(["-n", "going", "apply", "-f", "-"], JSON.stringify(box));

    await kubectl(["delete", "namespace", "going", "--wait=false"]);

    const deleted = async () =>
      (await kubectl(["-n", "going", "get", "box", "nexus-1", "-o", "jsonpath={.metadata.deletionTimestamp}"])) !== "";
    await until("deletion of the box by the namespace", deleted, { withinMs: 60_000 });
    await kubectl(["-n", "going", "patch", "box", "nexus-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
  });

  test("with namespaces listed, the operator has rights in them, and elsewhere only that to let go of boxes and zones", async () => {
    await helm("upgrade", "nexus", chart, "-n", "nexus-system", "--set", "namespaces={files}");
    const who = "--as=system:serviceaccount:nexus-system:nexus-operator";
    const may = async (namespace: string, what = "statefulsets") =>
      (await attempt(["-n", namespace, "auth", "can-i", "patch", what, who])).stdout.trim();

    expect(await may("files")).toBe("yes");
    expect(await may("default")).toBe("no");
    // A namespace that ends loses its RoleBinding before its boxes, which are to be let go all the same.
    expect(await may("default", "boxes")).toBe("yes");
    expect(await may("default", "raftgroups")).toBe("no");
  });
});
