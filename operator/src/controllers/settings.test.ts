import { expect, test } from "vitest";
import { readOperatorSettings } from "./settings.ts";

const images = { NEXUS_NODE_IMAGE: "node:1", NEXUS_WITNESS_IMAGE: "witness:1" };

test("flags come before the environment; namespaces may be repeated or listed", () => {
  const settings = readOperatorSettings(["--namespace", "a,b", "--namespace", "c", "--node-image", "node:2"], images);

  expect(settings).toMatchObject({ namespace: ["a", "b", "c"], nodeImage: "node:2", witnessImage: "witness:1" });
  expect(settings.cluster).toBe("default");
});

test("a wrong flag is named", () => {
  expect(() => readOperatorSettings(["--port", "x"], images)).toThrow("--port");
  expect(() => readOperatorSettings([], {})).toThrow("--node-image");
  expect(() => readOperatorSettings(["--nonsense"], images)).toThrow("nonsense");
});
