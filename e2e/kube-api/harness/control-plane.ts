// One etcd and one kube-apiserver for all suites of this run, started before the first and killed after the last.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { whyNoBinaries } from "../../cluster/binaries.ts";
import { startControlPlane } from "../../cluster/control-plane.ts";

export interface ControlPlaneHandle {
  kubeconfig: string;
  kubectl: string;
  /** POST /restart/apiserver or /restart/etcd answers when the API server is ready again. */
  controlUrl: string;
}

declare module "vitest" {
  interface ProvidedContext {
    /** Undefined where no control plane can be had. */
    controlPlane: ControlPlaneHandle | undefined;
  }
}

/** The suites run in processes of their own: what only the starter can do, it does for them over loopback. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const reason = await whyNoBinaries(["etcd", "kube"]);
  project.provide("controlPlane", undefined);
  if (reason !== undefined) {
    console.log(`The suites against a real API server are skipped: ${reason}.`);
    return async () => {};
  }
  const dir = mkdtempSync(join(tmpdir(), "nexus-kube-api-"));
  const plane = await startControlPlane({ dir, controllerManager: false });
  const control = createServer(async (request, response) => {
    const restart = request.url === "/restart/etcd" ? plane.restartEtcd : plane.restartApiserver;
    const failure = await restart("SIGKILL").then(
      () => undefined,
      (error: unknown) => error,
    );
    response.writeHead(failure === undefined ? 200 : 500).end(String(failure ?? ""));
  });
  await new Promise<void>((resolve) => control.listen(0, "127.0.0.1", resolve));
  project.provide("controlPlane", {
    kubeconfig: plane.kubeconfig,
    kubectl: plane.binaries.kubectl,
    controlUrl: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
  });
  return async () => {
    control.closeAllConnections();
    control.close();
    await plane.stop();
    rmSync(dir, { recursive: true, force: true });
  };
}
