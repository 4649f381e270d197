// Bytes and texts that somebody gives a box to read: a backup's file, the token of an event, the addresses of other boxes.
import { FileInfo } from "@nexus-federation/proto/records.ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { badBytes } from "../base/testing/bent.ts";
import { parseContacts } from "../discovery/bootstrap.ts";
import { BackupParser } from "./backup-parser.ts";
import { parseEventToken, printEventToken } from "./watching.ts";

const content = Buffer.from("content of a file");
const info = FileInfo.encode({
  ...FileInfo.decode(Buffer.alloc(0)),
  path: "/a",
  type: "file",
  size: content.length,
  etag: Buffer.alloc(32),
}).finish();
const length = Buffer.alloc(4);
length.writeUInt32BE(info.length);
const backup = Buffer.concat([length, info, content, length, info, content]);

/** A box that takes everything, and counts the bytes. */
function taker() {
  const taken = { bytes: 0, uploads: 0 };
  const upload = () => {
    taken.uploads++;
    return {
      write: async (piece: Uint8Array) => {
        taken.bytes += piece.length;
      },
      finish: async () => ({ id: 0, receipt: undefined, result: undefined }),
    };
  };
  const ask = async () => ({ id: 0, receipt: undefined, result: undefined });
  return { taken, parser: new BackupParser("zone", { box: { upload }, ask } as never) };
}

test("a backup of other bytes, cut anywhere, is refused in a sentence or taken, and never more than came", async () => {
  const { taken, parser } = taker();
  expect(await parser.add(backup)).toBeUndefined();
  expect(taken).toEqual({ bytes: 2 * content.length, uploads: 2 });
  expect(parser.isAtEnd).toBe(true);

  await fc.assert(
    fc.asyncProperty(badBytes(backup), fc.integer({ min: 1, max: 40 }), async (bytes, step) => {
      const { taken, parser } = taker();
      for (let at = 0; at < bytes.length; at += step) {
        const refused = await parser.add(Buffer.from(bytes.subarray(at, at + step)));
        if (refused === undefined) continue;
        expect(refused.code).toBe("CORRUPT");
        break;
      }
      expect(taken.bytes).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 500 },
  );
});

test("any text is an event's token that prints alike, or none", () => {
  const near = fc.tuple(fc.nat(), fc.nat(), fc.nat()).map((parts) => parts.join("."));
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      const cursor = parseEventToken(text);
      if (cursor === undefined) return;
      const ordinal = Number(text.split(".")[2]);
      expect(parseEventToken(printEventToken(cursor, ordinal))).toEqual(cursor);
      expect(cursor.generation).toBeGreaterThan(0);
      expect(Number.isSafeInteger(cursor.index)).toBe(true);
    }),
  );
});

test("any text is a list of addresses or one refusal that names the setting", () => {
  const part = fc.constantFrom("a", "=", ":", "[", "::1", "]", "7000", "99999", ",", " ", "-", "\0", "é");
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(part).map((parts) => parts.join("")),
      ),
      (text) => {
        const contacts = parseContacts(text);
        if (isRefusal(contacts)) expect(contacts.message).toContain("NEXUS_RAFT_PEERS");
        else for (const { endpoint } of contacts) expect(endpoint).toMatch(/^[^=,\s]+:\d+$/);
      },
    ),
  );
});
