// The chart's NetworkPolicies, enforced: what must pass passes, whoever has no business at a port does not reach it.
import { resolve } from "node:path";
import { afterAll, describe, expect, inject, test } from "vitest";
import { Cluster } from "../cluster/cluster.ts";
import { Enforcer } from "./harness/enforcer.ts";
import { Federation, operatorNamespace } from "./harness/operator.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";

const context = inject("cluster");
const chart = resolve(import.meta.dirname, "../../charts/nexus");
const [namespace, system, watchers] = ["guarded", "guarded-system", "guarded-watchers"];
const values = [
  ...["networkPolicies.enabled=true", `namespaces={${namespace}}`],
  "networkPolicies.clients[0].podSelector.matchLabels.app=loader",
  `networkPolicies.scrapers[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=${watchers}`,
].flatMap((value) => ["--set", value]);

/** Everybody who may try to come in; a client is whoever carries the label that the values name. */
const callers = {
  client: { namespace, labels: { app: "loader" } },
  stranger: { namespace, labels: { app: "stranger" } },
  "far stranger": { namespace: "guarded-others", labels: { app: "loader" } },
  watcher: { namespace: watchers, labels: { app: "watcher" } },
};
type Caller = keyof typeof callers;

/** Tries the addresses of its arguments and prints those that take a connection. */
const dialer = `
const { connect } = require("node:net");
Promise.all(process.argv.slice(1).map((address) => new Promise((resolve) => {
  const [host, port] = address.split(":");
  const socket = connect({ host, port: Number(port), timeout: 4000 });
  const end = (is) => { socket.destroy(); resolve(is && address); };
  socket.on("connect", () => end(true)).on("error", () => end(false)).on("timeout", () => end(false));
}))).then((open) => console.log(JSON.stringify(open.filter(Boolean))));`;

describe.skipIf(context === undefined || context.nodes.length === 0)("the chart's network policies, enforced", () => {
  let cluster: Cluster;
  let federation: Federation;
  let enforcer: Enforcer | undefined;

  afterAll(async () => {
    if (!cluster) return;
    await enforcer?.stop();
    for (const each of [namespace, watchers, "guarded-others"])
      await cluster.tryKubectl(["delete", "namespace", each, "--ignore-not-found", "--timeout=120s"]);
    await cluster.helm(["uninstall", "guarded", "-n", system, "--ignore-not-found"]);
  });

  const install = (...more: string[]) => {
    const tag = context!.images.operator.split(":").at(-1)!;
    const flags = ["--create-namespace", "--take-ownership", "--wait", "--timeout", "2m"];
    const set = ["--set", `image.tag=${tag}`, ...more];
    return cluster.helm(["upgrade", "--install", "guarded", chart, "-n", system, ...flags, ...set]);
  };

  const startCallers = async () => {
    for (const each of [watchers, "guarded-others"]) await cluster.kubectl(["create", "namespace", each]);
    const pods = Object.entries(callers).map(([name, { namespace, labels }]) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `caller-${name.replace(" ", "-")}`, namespace, labels },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: "caller",
            image: context!.images.operator,
            imagePullPolicy: "IfNotPresent",
            command: ["/nodejs/bin/node", "-e", "setInterval(() => undefined, 60_000)"],
          },
        ],
      },
    }));
    await cluster.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: pods }));
    for (const { metadata } of pods)
      await cluster.kubectl([
        ...["-n", metadata.namespace, "wait", "--for=condition=Ready", `pod/${metadata.name}`, "--timeout=90s"],
      ]);
  };

  const addressOf = async (namespace: string, selector: string) => {
    const path = "jsonpath={.items[0].status.podIP}";
    return cluster.kubectl(["-n", namespace, "get", "pods", "-l", selector, "-o", path]);
  };

  /** Ports that the caller reaches, as `box 2026`. */
  const reached = async (caller: Caller): Promise<string[]> => {
    const [box, witness, operator] = await Promise.all([
      addressOf(namespace, "app.kubernetes.io/component=node"),
      addressOf(namespace, "app.kubernetes.io/component=witness"),
      addressOf(system, "app.kubernetes.io/name=nexus-operator"),
    ]);
    const doors = [
      ...[2026, 2027, 2028, 2029].map((port) => [`box ${port}`, `${box}:${port}`] as const),
      ...[2027, 2028, 2029].map((port) => [`witness ${port}`, `${witness}:${port}`] as const),
      ...[8080, 8081].map((port) => [`operator ${port}`, `${operator}:${port}`] as const),
    ];
    const at = ["-n", callers[caller].namespace, "exec", `caller-${caller.replace(" ", "-")}`, "--"];
    const printed = await cluster.kubectl([...at, "/nodejs/bin/node", "-e", dialer, ...doors.map(([, to]) => to)]);
    const open = JSON.parse(printed) as string[];
    return doors.filter(([, to]) => open.includes(to)).map(([name]) => name);
  };
  const table = async () =>
    Object.fromEntries(
      await Promise.all((Object.keys(callers) as Caller[]).map(async (caller) => [caller, await reached(caller)])),
    );

  test("without them, everybody reaches every door", async () => {
    cluster = new Cluster(context!);
    await cluster.tryKubectl(["-n", operatorNamespace, "delete", "deployment", "nexus-operator", "--ignore-not-found"]);
    if (context!.provider !== "kind") enforcer = await Enforcer.start(cluster);
    await cluster.kubectl(["create", "namespace", namespace]);
    await install("--set", `namespaces={${namespace}}`);
    federation = await Federation.into(cluster, namespace);
    await federation.settled();
    await startCallers();

    const every = [
      ...["box 2026", "box 2027", "box 2028", "box 2029", "witness 2027", "witness 2028", "witness 2029"],
      ...["operator 8080", "operator 8081"],
    ];
    expect(await table()).toEqual(Object.fromEntries(Object.keys(callers).map((caller) => [caller, every])));
  });

  test("with them, each reaches what is its business and nothing else", async () => {
    await install(...values);
    await enforcer?.settled(2);

    expect(await table()).toEqual({
      client: ["box 2026"],
      stranger: [],
      "far stranger": [],
      watcher: ["box 2029", "witness 2029", "operator 8081"],
    });
  });

  test("clients, boxes, witness and operator have what they need: writes, a lost leader, another member", async () => {
    await underLoad(federation, { image: context!.images.operator }, async (load) => {
      await federation.run(["delete", "pod", `${await federation.leader()}-0`, "--grace-period=0", "--force"]);
      await furtherWrites(load);
      await federation.settled();
      await federation.run(["delete", "pod", "witness-1-0"]);
      await federation.settled();
    });
  });

  test("a federation that is founded behind them gets founded", async () => {
    await federation.remove();
    await cluster.kubectl(["create", "namespace", namespace]);
    await install(...values);
    await enforcer?.settled(2);

    federation = await Federation.into(cluster, namespace);
    await federation.settled();
  });
});
