import { expect, test } from "vitest";
import { type LoadFault, loadFiles, printFault } from "./load.ts";

const head = (kind: string, name: string) =>
  `apiVersion: federation.nexus.io/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}}\n`;
const box = (name: string) => `${head("Box", name)}spec: {region: local}\n`;

function faultsOf(...texts: string[]): LoadFault[] {
  const loaded = loadFiles(texts.map((text, index) => ({ name: `f${index + 1}.yaml`, text })));
  return "faults" in loaded ? loaded.faults : [];
}

test("many documents in many files are read, defaults filled in", () => {
  const loaded = loadFiles([
    { name: "a.yaml", text: `---\n${box("one")}---\n# nothing\n---\n${box("two")}` },
    {
      name: "b.yaml",
      text: `${head("ConsensusZone", "root")}spec: {pathPattern: /**, mode: strong, authorityBox: one}\n`,
    },
  ]);

  if ("faults" in loaded) throw new Error(loaded.faults.map(printFault).join("\n"));
  expect(loaded.resources.map((each) => [each.kind, each.metadata.name])).toEqual([
    ["Box", "one"],
    ["Box", "two"],
    ["ConsensusZone", "root"],
  ]);
  expect(loaded.resources[0]!.spec).toMatchObject({ role: "Data", cluster: "default", storage: { size: "20Gi" } });
  expect(loaded.resources[2]!.spec).toMatchObject({ state: "Active", retention: "168h" });
});

test("a fault names file, line, field and reason", () => {
  const text = `${head("RaftGroup", "main")}spec:\n  members:\n    - {box: one}\n    - box: two\n      role: Boss\n`;

  expect(faultsOf(box("one"), text)).toEqual([
    {
      file: "f2.yaml",
      line: 8,
      field: "spec.members[1].role",
      reason: 'must be "Voter" or "Witness" or "Learner", got "Boss"',
    },
  ]);
});

test("a missing field points at the map that lacks it", () => {
  expect(faultsOf(`${head("Box", "one")}spec:\n  role: Data\n`)).toEqual([
    { file: "f1.yaml", line: 4, field: "spec.region", reason: "is required" },
  ]);
});

test("an unknown field points at its key", () => {
  expect(faultsOf(`${head("Box", "one")}spec:\n  region: local\n  colour: red\n`)).toEqual([
    { file: "f1.yaml", line: 6, field: "spec.colour", reason: "is not a field here" },
  ]);
});

test("a broken rule of one object points at the field to change", () => {
  const text = `${head("ConsensusZone", "root")}spec:\n  pathPattern: /**\n  mode: strong_ha\n  raftGroup: main\n  writeConcern: authority\n`;

  expect(faultsOf(text)).toEqual([
    {
      file: "f1.yaml",
      line: 8,
      field: "spec.writeConcern",
      reason: "writeConcern authority is refused in strong_ha: it would acknowledge what is not committed.",
    },
  ]);
});

test("YAML that cannot be read is refused with its line", () => {
  const [fault] = faultsOf(`${head("Box", "one")}spec:\n  region: [\n`);

  expect(fault).toMatchObject({ file: "f1.yaml", field: "" });
  expect(fault!.reason).toContain("not valid YAML");
});

test("an object that stands twice, in one file or two, is refused naming both places", () => {
  expect(faultsOf(box("one"), box("one"))).toEqual([
    { file: "f2.yaml", line: 3, field: "metadata.name", reason: "Box/one stands at f1.yaml:3 already" },
  ]);
});

test("other API versions and kinds are refused", () => {
  expect(faultsOf("apiVersion: v1\nkind: Pod\n")[0]).toMatchObject({ line: 1, field: "apiVersion" });
  expect(faultsOf("apiVersion: federation.nexus.io/v1alpha1\nkind: Pod\n")[0]).toMatchObject({
    line: 2,
    field: "kind",
  });
  expect(faultsOf("- a\n- b\n")[0]).toMatchObject({ field: "" });
});

test("a fault anywhere refuses the whole", () => {
  const loaded = loadFiles([
    { name: "good.yaml", text: box("one") },
    { name: "bad.yaml", text: head("Box", "Two") },
  ]);

  expect("resources" in loaded).toBe(false);
});

test("an immutable field is compared with the object in force", () => {
  const before = loadFiles([{ name: "a", text: box("one") }]);
  if ("faults" in before) throw new Error("good");
  const changed = `${head("Box", "one")}spec: {region: elsewhere}\n`;

  const after = loadFiles([{ name: "b.yaml", text: changed }], () => before.resources[0]);

  expect("faults" in after && after.faults.map(printFault)).toEqual([
    "b.yaml:4: spec.region: region cannot be changed: receipts and zones rely on where the data lies. Create a new object instead.",
  ]);
});
