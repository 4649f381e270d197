import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { outside } from "./partitions.ts";
import { Proxies } from "./proxies.ts";
import { until } from "./run.ts";
import { skipFor } from "./skip.ts";

/** Says what it hears back in capitals, and on stdout. */
const server =
  "const [host, port] = process.argv.slice(1);" +
  "require('net').createServer((s) => s.on('data', (d) => { process.stdout.write(d); s.write(String(d).toUpperCase()); }))" +
  ".listen({ host, port: Number(port) }, () => process.stdout.write('ready '));";
/** Asks once and says the answer. */
const asker =
  "const [host, port, word] = process.argv.slice(1); const s = require('net').connect({ host, port: Number(port) });" +
  "s.on('data', (d) => { process.stdout.write(d); process.exit(0); }); s.write(word);";

let folder: string;
let proxies: Proxies | string;
const children: ChildProcess[] = [];
const sockets: Socket[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nexus-proxies-"));
  proxies = Proxies.open();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const child of children.splice(0)) child.kill("SIGKILL");
  if (typeof proxies !== "string") proxies.close();
  rmSync(folder, { recursive: true });
});

function run(place: { command: string[] }, program: string, args: string[]): { said: () => string } {
  const [command = "", ...before] = place.command;
  const child = spawn(command, [...before, process.execPath, "-e", program, ...args]);
  children.push(child);
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  return { said: () => said };
}

/** Box a listens; the test stands outside and has a connection to it. */
async function talking(network: Proxies) {
  const [a, b] = [network.place("a"), network.place("b")];
  const file = join(folder, "ports.json");
  await network.ready(file);
  const { peer } = (JSON.parse(readFileSync(file, "utf8")) as Record<string, { peer: number }>)["a"]!;
  const heard = run(a, server, [a.host, `${peer}`]);
  await until("the box listens", () => heard.said() === "ready ");
  const socket = connect({ host: a.host, port: peer });
  sockets.push(socket);
  let answers = "";
  socket.on("data", (text) => (answers += text));
  socket.write("one");
  await until("it answers", () => answers === "ONE");
  /** Box b asks box a: what it did not forbid goes on. */
  const asks = (word: string) => run(b, asker, [a.host, `${peer}`, word]);
  return { socket, heard, answers: () => answers, asks };
}

test("what is sent over a cut arrives when it is healed, and others' words pass meanwhile", async (context) => {
  if (typeof proxies === "string") return skipFor(context, proxies);
  const { socket, heard, answers, asks } = await talking(proxies);

  proxies.cut(outside, "a");
  socket.write("two");
  const other = asks("three");
  await until("b's word is answered", () => other.said() === "THREE");
  expect(heard.said()).toBe("ready onethree");
  proxies.heal();

  await until("the second word is answered", () => answers() === "ONETWO");
});

test("a cut of one direction loses answers, not questions", async (context) => {
  if (typeof proxies === "string") return skipFor(context, proxies);
  const { socket, heard, answers, asks } = await talking(proxies);

  proxies.cut("a", outside);
  socket.write("two");
  await until("the word is heard", () => heard.said() === "ready onetwo");
  const other = asks("three");
  await until("b is answered", () => other.said() === "THREE");
  expect(answers()).toBe("ONE");
  proxies.heal();

  await until("the answer arrives", () => answers() === "ONETWO");
});

test("boxes are told apart: one that is cut off from another is not from the outside", async (context) => {
  if (typeof proxies === "string") return skipFor(context, proxies);
  const { socket, answers, asks } = await talking(proxies);

  proxies.split(["a"], ["b"]);
  const other = asks("lost");
  socket.write("two");
  await until("the outside is answered", () => answers() === "ONETWO");
  expect(other.said()).toBe("");
  proxies.heal();

  await until("b's connection goes through", () => other.said() === "LOST");
});
