import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readCredentials, secureContextOf } from "@nexus-federation/node/transport/credentials.ts";
import { systemClock as clock, systemRandom as random } from "@nexus-federation/node/transport/system-clock.ts";
import { afterAll, expect, test } from "vitest";
import { loadFiles } from "../../api/load.ts";
import { boxesIn, composedBoxes, prepare, setupFolder } from "./composed.ts";
import { readContext } from "./identities.ts";

const volumes = mkdtempSync(join(tmpdir(), "nexus-composed-"));
afterAll(() => rmSync(volumes, { recursive: true }));
const owner = { user: process.getuid!(), group: process.getgid!() };
const settings = { volumes, federation: "acme", owner };
const file = resolve(import.meta.dirname, "../../../../examples/quickstart.yaml");
const loaded = loadFiles([{ name: file, text: readFileSync(file, "utf8") }]);
if ("faults" in loaded) throw new Error("the example has faults");
const boxes = boxesIn(loaded.resources);
const textOf = (...path: string[]) => readFileSync(join(volumes, ...path), "utf8");

test("what the boxes read is written once: a second time keeps certificates, token and configurations", async () => {
  await prepare(settings, boxes, { clock, random });
  const files = ["nexus-1-config/config.json", "nexus-1-config/tokens.json", "witness-1-config/tls/tls.crt"];
  const before = files.map((name) => textOf(name));
  const token = readContext(setupFolder(settings))?.token;

  await prepare(settings, boxes, { clock, random });

  expect(files.map((name) => textOf(name))).toEqual(before);
  expect(readContext(setupFolder(settings))?.token).toBe(token);
  secureContextOf(readCredentials(join(volumes, "nexus-2-config/tls")));
  expect(JSON.parse(textOf("witness-1-config/config.json"))).not.toHaveProperty("client");
});

test("services are found under their names, witnesses by boxes alone", () => {
  const { workloads } = composedBoxes(boxes);

  expect(workloads.get("nexus-2")).toMatchObject({ peerEndpoint: "nexus-2:2027", clientEndpoint: "nexus-2:2026" });
  expect(workloads.get("witness-1")).toMatchObject({ peerEndpoint: "witness-1:2027", clientEndpoint: "" });
});
