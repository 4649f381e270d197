// YAML files to resources. All or nothing: one fault anywhere, and the caller gets only the faults, each with the line
// that a person must look at; a half-applied set of files is worse than none.
import { type Document, isMap, isNode, isScalar, LineCounter, parseAllDocuments } from "yaml";
import { checkObject, printPath } from "./check.ts";
import { type Kind, keyOf, type Resource } from "./kinds.ts";

export interface SourceFile {
  /** As the person named it. */
  name: string;
  text: string;
}

export interface LoadFault {
  file: string;
  /** From 1. */
  line: number;
  /** Such as spec.members[0].role; empty when the whole document is meant. */
  field: string;
  reason: string;
}

const fileBytesMax = 4 * 1024 * 1024;
const documentsMax = 10_000;

/** `file:line: field reason`, one line. */
export function printFault(fault: LoadFault): string {
  return `${fault.file}:${fault.line}: ${fault.field === "" ? "" : `${fault.field}: `}${fault.reason}`;
}

/** Where an object stands in its file. */
export interface Place {
  file: string;
  /** Line of the field, of its deepest part that is written. */
  lineOf: (path: readonly (string | number)[]) => number;
}

/** Resources with their places by "Kind/name". `earlier` answers the object as it is in force now, for rules about change. */
export function loadFiles(
  files: readonly SourceFile[],
  earlier?: (kind: Kind, name: string) => Resource | undefined,
): { resources: Resource[]; places: ReadonlyMap<string, Place> } | { faults: LoadFault[] } {
  const resources: Resource[] = [];
  const faults: LoadFault[] = [];
  const places = new Map<string, Place>();
  for (const file of files) {
    if (Buffer.byteLength(file.text) > fileBytesMax) {
      faults.push({ file: file.name, line: 1, field: "", reason: `the file is above ${fileBytesMax} bytes; split it` });
      continue;
    }
    const lines = new LineCounter();
    const documents = parseAllDocuments(file.text, { lineCounter: lines, prettyErrors: false });
    if (!Array.isArray(documents)) continue;
    for (const document of documents) {
      if (resources.length >= documentsMax) {
        faults.push({ file: file.name, line: 1, field: "", reason: `more than ${documentsMax} resources at once` });
        break;
      }
      readDocument({ file: file.name, lines, document, earlier, places, resources, faults });
    }
  }
  return faults.length > 0 ? { faults } : { resources, places };
}

interface Reading {
  file: string;
  lines: LineCounter;
  document: Document;
  earlier: ((kind: Kind, name: string) => Resource | undefined) | undefined;
  /** Where each resource was seen first, by key. */
  places: Map<string, Place>;
  resources: Resource[];
  faults: LoadFault[];
}

function readDocument(reading: Reading): void {
  const { file, lines, document, faults } = reading;
  const at = (offset: number) => Math.max(1, lines.linePos(offset).line);
  if (document.errors.length > 0) {
    for (const error of document.errors)
      faults.push({ file, line: at(error.pos[0]), field: "", reason: `not valid YAML: ${error.message}` });
    return;
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return;
  let object: unknown;
  try {
    object = document.toJS();
  } catch (error) {
    faults.push({
      file,
      line: at(document.range?.[0] ?? 0),
      field: "",
      reason: `not valid YAML: ${(error as Error).message}`,
    });
    return;
  }
  const checked = checkObject(object, reading.earlier);
  if ("faults" in checked) {
    for (const fault of checked.faults)
      faults.push({
        file,
        line: at(offsetOf(document, fault.path)),
        field: printPath(fault.path),
        reason: fault.reason,
      });
    return;
  }
  const key = keyOf(checked.resource);
  const namePath = ["metadata", "name"];
  const lineOf = (path: readonly (string | number)[]) => at(offsetOf(document, path));
  const first = reading.places.get(key);
  if (first !== undefined) {
    const reason = `${key} stands at ${first.file}:${first.lineOf(namePath)} already`;
    faults.push({ file, line: lineOf(namePath), field: "metadata.name", reason });
  } else reading.places.set(key, { file, lineOf });
  reading.resources.push(checked.resource);
}

/** Where the deepest part of `path` that exists begins: the key of a map entry, or the list item. */
function offsetOf(document: Document, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = isNode(node) && node.range ? node.range[0] : (document.range?.[0] ?? 0);
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (!pair) return offset;
      if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0];
      node = pair.value;
      continue;
    }
    const items: unknown[] | undefined = (node as { items?: unknown[] } | null)?.items;
    const item = typeof part === "number" ? items?.[part] : undefined;
    if (item === undefined) return offset;
    node = item;
    if (isNode(node) && node.range) offset = node.range[0];
  }
  return offset;
}
