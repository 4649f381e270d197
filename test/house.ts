import { existsSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

export interface House {
  root: string;
  workspaces: string[];
  floors: Record<string, string[][]>;
  neighbours: Record<string, Record<string, string[]>>;
  pure: string[];
  /** Folders inside a room that hold what only tests use. */
  testOnly: string[];
  operatorMayImport: string[];
  recordFiles: string[];
  linesMax: number;
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^;"'`]*?\sfrom\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;
const impurity = /\b(Date\.now|Math\.random|setTimeout|setInterval|setImmediate|performance\.now|process\.|crypto\.)/;

/** One sentence for each way in which the file breaks the house rules; empty when it keeps them. */
export function checkFile(house: House, file: string, text: string): string[] {
  const name = relative(house.root, file);
  const faults: string[] = [];
  const isTest = name.endsWith(".test.ts") || name.split("/").some((part) => house.testOnly.includes(part));
  if (!isTest && text.split("\n").length > house.linesMax) faults.push(`${name} is over ${house.linesMax} lines`);
  const pureRoom = house.pure.find((room) => name.startsWith(`${room}/`));
  if (pureRoom && !isTest && impurity.test(withoutComments(text)))
    faults.push(`${name} reads a clock, timer or randomness in a pure room`);
  for (const match of text.matchAll(importPattern)) {
    const target = match[1] ?? match[2] ?? match[3]!;
    const fault = checkImport(house, { name, file, isTest, pureRoom }, target);
    if (fault) faults.push(fault);
  }
  return faults;
}

interface Importer {
  name: string;
  file: string;
  isTest: boolean;
  pureRoom: string | undefined;
}

function checkImport(house: House, from: Importer, target: string): string | undefined {
  const resolved = resolveTarget(house, from, target);
  if (resolved === undefined) {
    if (!from.pureRoom || from.isTest) return undefined;
    return `${from.name}: a pure room imports ${target}`;
  }
  const to = relative(house.root, resolved);
  if (!existsSync(resolved)) return `${from.name} imports ${target}, which does not exist`;
  if (from.isTest) return undefined;
  return checkWorkspaces(house, from, to) ?? checkFloors(house, from, to);
}

/** Path of a file of this repository, or undefined for a package from outside. */
function resolveTarget(house: House, from: Importer, target: string): string | undefined {
  if (target.startsWith(".")) return resolve(dirname(from.file), target);
  const own = /^@nexus-federation\/([a-z]+)\/(.+)$/.exec(target);
  if (!own) return undefined;
  return join(house.root, own[1] === "proto" ? "proto/gen/nexus/v1" : `${own[1]}/src`, own[2]!);
}

function checkWorkspaces(house: House, from: Importer, to: string): string | undefined {
  const [fromWorkspace, toWorkspace] = [from.name.split("/")[0]!, to.split("/")[0]!];
  if (toWorkspace === "proto") {
    if (from.pureRoom && !house.recordFiles.includes(basename(to)))
      return `${from.name}: a pure room imports the services of ${to}`;
    return undefined;
  }
  if (house.workspaces.indexOf(toWorkspace) > house.workspaces.indexOf(fromWorkspace))
    return `${from.name} imports upwards from ${to}`;
  const room = to.split("/")[2]!;
  if (fromWorkspace === "operator" && toWorkspace === "node" && !house.operatorMayImport.includes(room))
    return `${from.name}: the operator imports node's ${room}`;
  return undefined;
}

function checkFloors(house: House, from: Importer, to: string): string | undefined {
  const root = Object.keys(house.floors).find(
    (folder) => from.name.startsWith(`${folder}/`) && to.startsWith(`${folder}/`),
  );
  if (root === undefined) return undefined;
  const roomOf = (path: string) => path.slice(root.length + 1).split("/");
  const [fromParts, toParts] = [roomOf(from.name), roomOf(to)];
  if (fromParts.length === 1) return undefined;
  if (toParts.length === 1) return `${from.name} imports the entry file ${to}`;
  const [fromRoom, toRoom] = [fromParts[0]!, toParts[0]!];
  if (fromRoom === toRoom || fromRoom === "sim" || fromRoom === "gen") return undefined;
  if (house.neighbours[root]?.[fromRoom]?.includes(toRoom)) return undefined;
  const floorOf = (room: string) => house.floors[root]!.findIndex((rooms) => rooms.includes(room));
  if (floorOf(fromRoom) < 0) return `${from.name}: room ${fromRoom} has no floor`;
  if (floorOf(toRoom) < 0 || floorOf(toRoom) >= floorOf(fromRoom))
    return `${from.name} imports ${to}, which is not on a lower floor`;
  return undefined;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");
}
