import { expect, test } from "vitest";
import { readBoxSettings } from "./settings.ts";

const file = {
  federation: "acme",
  box: "a",
  role: "Data",
  region: "cn",
  dir: "/data",
  peer: { host: "127.0.0.1", port: 2027 },
  client: { host: "127.0.0.1", port: 2026 },
  tls: { ca: "ca.crt", cert: "tls.crt", key: "tls.key" },
};

test("the environment names the box and its peers; the box id comes before the node id", () => {
  const both = { NEXUS_BOX_ID: "box-1", NEXUS_RAFT_NODE_ID: "1", NEXUS_RAFT_ENABLED: "true" };

  expect(readBoxSettings(file, {}).box).toBe("a");
  expect(readBoxSettings(file, { NEXUS_RAFT_NODE_ID: "1" }).box).toBe("1");
  expect(readBoxSettings(file, both).box).toBe("box-1");
});

test("peers are named by their host or before an equals sign", () => {
  const text = "box-2:2027, witness:2027,far=10.0.0.7:2027,six=[::1]:2027";

  expect(readBoxSettings(file, { NEXUS_RAFT_PEERS: text }).peers).toEqual([
    { box: "box-2", endpoint: "box-2:2027" },
    { box: "witness", endpoint: "witness:2027" },
    { box: "far", endpoint: "10.0.0.7:2027" },
    { box: "six", endpoint: "[::1]:2027" },
  ]);
});

test("a port for metrics is given by the environment, and must be one", () => {
  expect(readBoxSettings(file, {}).metrics).toBeUndefined();
  expect(readBoxSettings(file, { NEXUS_METRICS_PORT: "2029" }).metrics).toEqual({ host: "0.0.0.0", port: 2029 });
  expect(() => readBoxSettings(file, { NEXUS_METRICS_PORT: "many" })).toThrow("configuration: metrics.port");
});

test("what cannot be is refused by its name", () => {
  expect(() => readBoxSettings(file, { NEXUS_RAFT_PEERS: "box-2" })).toThrow("NEXUS_RAFT_PEERS");
  expect(() => readBoxSettings(file, { NEXUS_RAFT_ENABLED: "false" })).toThrow("NEXUS_RAFT_ENABLED");
  expect(() => readBoxSettings({ ...file, region: "" }, {})).toThrow("configuration: region");
  expect(() => readBoxSettings(undefined, {})).toThrow("configuration: federation");
});
