import { Command, WriteFile } from "@nexus-federation/proto/command.ts";
import { RequestFrame, ResponseFrame } from "@nexus-federation/proto/request.ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "./wire-codec.ts";

const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value));
const number = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32, 2 ** 32 - 1));
const text = fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: "grapheme", maxLength: 100 }));

const command = fc.record({ id: bytes, time: number, path: text, content: bytes }).map(
  ({ id, time, path, content }): Command => ({
    ...Command.decode(Buffer.alloc(0)),
    requestId: id,
    requestTimeMs: time,
    logTimeMs: time,
    principal: path,
    operation: {
      op: {
        $case: "write",
        value: {
          ...WriteFile.decode(Buffer.alloc(0)),
          path,
          content,
          contentType: path,
          metadata: { [path]: path },
          size: time,
        },
      },
    },
  }),
);

test("what is written is byte for byte what the package's writer makes, and is read back by both readers", () => {
  fc.assert(
    fc.property(command, (value) => {
      const expected = Buffer.from(Command.encode(value).finish());

      const written = encodeMessage(Command, value);

      expect(written.equals(expected)).toBe(true);
      expect(decodeMessage(Command, written)).toEqual(Command.decode(expected));
    }),
  );
});

test("a frame of many messages, each longer than its one-byte length, is the same as the package's", () => {
  const options = { ...RequestFrame.decode(Buffer.alloc(0)) };
  const value: RequestFrame = {
    ...options,
    requests: Array.from({ length: 300 }, (_, id) => ({
      id,
      options: undefined,
      zone: "z".repeat(id),
      op: { $case: "read" as const, value: { path: `/ä/${id}`, infoOnly: id % 2 === 0 } },
    })),
  };

  const written = encodeMessage(RequestFrame, value);

  expect(written.equals(Buffer.from(RequestFrame.encode(value).finish()))).toBe(true);
  expect(decodeMessage(RequestFrame, written)).toEqual(value);
});

test("cut or random bytes end in the package's answer: the same message or an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      const outcome = (decode: () => unknown) => {
        try {
          return decode();
        } catch {
          return "error";
        }
      };
      expect(outcome(() => decodeMessage(ResponseFrame, noise))).toEqual(outcome(() => ResponseFrame.decode(noise)));
    }),
  );
});

test("a failed encoding leaves nothing behind for the next one", () => {
  const bad = { ...Command.decode(Buffer.alloc(0)), logTimeMs: -1 };
  expect(() => encodeMessage(Command, bad)).toThrow("safe integer");

  const good = { ...bad, logTimeMs: 7 };
  expect(encodeMessage(Command, good).equals(Buffer.from(Command.encode(good).finish()))).toBe(true);
});

test("bytes that are no text are an error for every reader, and a text keeps its byte order mark", () => {
  const named = (path: string) => ({ ...WriteFile.decode(Buffer.alloc(0)), path, contentType: path });
  for (const read of [WriteFile.decode, (bytes: Buffer) => decodeMessage(WriteFile, bytes)]) {
    for (const path of ["/ab", "/".padEnd(100, "b")]) {
      const bent = encodeMessage(WriteFile, named(path));
      bent[bent.indexOf("b")] = 0xff;
      expect(() => read(bent)).toThrow("a text is not UTF-8");
    }
    expect(read(encodeMessage(WriteFile, named("\ufeff\u00e4")))).toEqual(named("\ufeff\u00e4"));
  }
});
