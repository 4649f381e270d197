// Certificates that people give are renewed, and their authority gives way to another, as the certificate runbook says:
// while clients write, without a restart and without a failed call.
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import { acceptsEachOther } from "@nexus-federation/node/transport/box-probe.ts";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Cluster } from "../cluster/cluster.ts";
import { until } from "../cluster/programs.ts";
import { Federation, installOperator } from "./harness/operator.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";

const context = inject("cluster");
const [namespace, name] = ["given", "given-certificates"];
const boxes = ["nexus-1", "nexus-2", "witness-1"];
const peerPort = 2027;
/** The kubelet brings a Secret into a pod within about a minute and a half, the box reads it within half a minute. */
const arrival = { withinMs: 300_000, everyMs: 3_000 };

interface Leaf {
  certificate: string;
  key: string;
}

describe.skipIf(context === undefined)("certificates that people give", () => {
  let cluster: Cluster;
  let federation: Federation;
  let [first, second]: Authority[] = [];
  /** By Secret. */
  const leaves = new Map<string, Leaf>();

  const leafOf = (authority: Authority, kind: "box" | "operator", id: string) =>
    authority.issue({ kind, id }, { nowMs: Date.now() });
  /** What the Secrets hold, all at once: leaves, and whom they trust. */
  const give = async (trusted: Authority[]) => {
    const ca = trusted.map(({ certificatePem }) => certificatePem.trim()).join("\n");
    const items = [...leaves].map(([secret, { certificate, key }]) => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: secret },
      type: "kubernetes.io/tls",
      stringData: { "ca.crt": `${ca}\n`, "tls.crt": certificate, "tls.key": key },
    }));
    await federation.run(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  };
  const issueAll = async (by: Authority) => {
    leaves.set("nexus-operator-tls", await leafOf(by, "operator", "default"));
    for (const box of boxes) leaves.set(`${box}-tls`, await leafOf(by, "box", box));
  };

  const atPeerPort = async <T>(box: string, ask: (port: number) => Promise<T>): Promise<T> => {
    const way = await cluster.forward(namespace, `pod/${box}-0`, peerPort);
    try {
      return await ask(way.port);
    } finally {
      way.stop();
    }
  };
  /** The box presents the certificate that its Secret holds. */
  const presents = (box: string) =>
    atPeerPort(box, (port) => {
      const wanted = new X509Certificate(leaves.get(`${box}-tls`)!.certificate).fingerprint256;
      return new Promise<boolean>((resolve) => {
        const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] }, () => {
          resolve(socket.getPeerX509Certificate()?.fingerprint256 === wanted);
          socket.destroy();
        });
        socket.on("error", () => resolve(false));
      });
    }).catch(() => false);
  /** The box takes certificates of that authority. */
  const takes = async (box: string, authority: Authority) => {
    const { certificate, key } = await leafOf(authority, "operator", "default");
    const ca = [first, second].map((each) => each!.certificatePem).join("\n");
    const own = { ca, certificate, key };
    return atPeerPort(box, (port) => acceptsEachOther({ own, federation: name, box, endpoint: `127.0.0.1:${port}` }));
  };
  const each = (what: string, is: (box: string) => Promise<boolean>) => {
    const all = async () => (await Promise.all(boxes.map(is))).every(Boolean);
    return until(what, all, arrival);
  };
  const started = () =>
    Promise.all(
      boxes.map(async (box) => {
        const { metadata, status } = await federation.get(`pod/${box}-0`);
        const { containerStatuses } = status as { containerStatuses?: { restartCount: number }[] };
        return [metadata.uid, containerStatuses?.[0]?.restartCount];
      }),
    );
  const use = () => ({ image: context!.images.operator, node: "node1" });

  beforeAll(async () => {
    cluster = await installOperator(context!);
    federation = await Federation.empty(cluster, namespace);
    [first, second] = [await Authority.create(name, Date.now()), await Authority.create(name, Date.now(), "second")];
    await issueAll(first);
    await give([first]);
    const resource = {
      apiVersion: "federation.nexus.io/v1alpha1",
      kind: "Federation",
      metadata: { name: "federation" },
      spec: { trustDomain: name, tls: { source: "Secret" } },
    };
    await federation.run(["apply", "-f", "-"], JSON.stringify(resource));
    await Federation.into(cluster, namespace);
    await federation.settled();
  });
  afterAll(() => federation?.remove());

  test("new ones by the same authority are presented without a restart, and no call fails", async () => {
    const before = await started();
    await underLoad(federation, use(), async (load) => {
      await issueAll(first!);
      await give([first!]);
      await each("boxes with their new certificates", presents);
      await furtherWrites(load, 50);
    });

    expect(await started()).toEqual(before);
  });

  test("another authority: both trusted, new leaves, the former one dropped; no restart, no call fails", async () => {
    const before = await started();
    await give([first!, second!]);
    await each("boxes that trust both", (box) => takes(box, second!));

    await underLoad(federation, use(), async (load) => {
      await issueAll(second!);
      await give([first!, second!]);
      await each("boxes with certificates of the second", presents);
      await give([second!]);
      await each("boxes that trust the first no more", async (box) => !(await takes(box, first!)));
      await furtherWrites(load, 50);
      await federation.settled();
    });

    const { data } = (await federation.get("secret/nexus-token")) as unknown as { data: Record<string, string> };
    expect(Buffer.from(data["ca.crt"]!, "base64").toString().trim()).toBe(second!.certificatePem.trim());
    expect(await started()).toEqual(before);
  });
});
