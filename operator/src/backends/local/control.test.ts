import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ControlDoor, serveControl } from "./control.ts";
import { Folder } from "./folder.ts";

let folder: Folder;
let door: ControlDoor;
let socket: Socket;
const called: string[] = [];
beforeEach(async () => {
  folder = new Folder(mkdtempSync(join(tmpdir(), "nexus-control-")));
  folder.create();
  const noted = (verb: string) => async () => void called.push(verb);
  const verbs = ["status", "apply", "delete", "settle", "revoke", "down"];
  door = await serveControl(folder, Object.fromEntries(verbs.map((verb) => [verb, noted(verb)])) as never);
  socket = connect(folder.socket).setEncoding("utf8");
  await once(socket, "connect");
  called.length = 0;
});
afterEach(async () => {
  socket.destroy();
  await door.close();
  rmSync(folder.root, { recursive: true });
});

async function answer(line: string): Promise<{ ok: boolean; code: string; message: string }> {
  socket.write(`${line}\n`);
  let text = "";
  while (!text.endsWith("\n")) text += (await once(socket, "data"))[0];
  return JSON.parse(text);
}

test.each([
  ["no JSON", "status", "JSON object"],
  ["nothing", "null", "knows no verb"],
  ["a name that every object has", '{"verb":"constructor"}', 'no verb "constructor"'],
  ["apply without files", '{"verb":"apply"}', "apply: files"],
  ["a file that is none", '{"verb":"delete","files":[{"name":1,"text":"x"}]}', "delete: files.0.name"],
  ["a box that is a way out of the folder", '{"verb":"revoke","box":"../../x"}', "revoke: box"],
  ["a time that is none", '{"verb":"settle","timeoutMs":"x"}', "settle: timeoutMs"],
])("%s is INVALID and says what is expected", async (_, line, says) => {
  expect(await answer(line)).toMatchObject({ ok: false, code: "INVALID", message: expect.stringContaining(says) });
  expect(called).toEqual([]);
});

test("any line is a request that is carried out or INVALID, and the next line is read", async () => {
  const verb = fc.constantFrom("status", "apply", "revoke", "settle", "down", "__proto__", "x");
  const object = fc.record({ verb, box: fc.jsonValue(), files: fc.jsonValue(), timeoutMs: fc.jsonValue() });
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    object.map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(line, async (text) => {
      fc.pre(text.trim() !== "" && !/[\n\r]/.test(text));
      const { ok, code } = await answer(text);
      if (!ok) expect(code).toBe("INVALID");
    }),
  );
  expect(await answer('{"verb":"status"}')).toMatchObject({ ok: true });
});
