import { DownloadFrame, UploadFrame } from "@nexus-federation/proto/files.ts";
import { describe, expect, test } from "vitest";
import { decodeDownloadFrame, decodeUploadFrame, encodeDownloadFrame, encodeUploadFrame } from "./content-frames.ts";

describe("frames of content", () => {
  test.each([0, 1, 127, 128, 16_383, 16_384, 256 * 1024])(
    "%i bytes are what the generated code makes of them",
    (size) => {
      const data = Buffer.alloc(size, 7);
      const up = { header: undefined, data };
      const down = { head: undefined, data };

      expect(encodeUploadFrame(up).equals(UploadFrame.encode(up).finish())).toBe(true);
      expect(encodeDownloadFrame(down).equals(DownloadFrame.encode(down).finish())).toBe(true);
      expect(decodeUploadFrame(encodeUploadFrame(up))).toEqual(up);
      expect(decodeDownloadFrame(encodeDownloadFrame(down))).toEqual(down);
    },
  );

  test("a header with data, data twice and unknown fields are read as the generated code reads them", () => {
    const header = { options: undefined, write: undefined, zone: "root" };
    const both = encodeUploadFrame({ header, data: Buffer.from("x") });
    const twice = Buffer.from([0x12, 1, 65, 0x12, 1, 66]);
    const unknown = Buffer.from([0x12, 1, 65, 0x78, 1]);

    for (const bytes of [both, twice, unknown]) expect(decodeUploadFrame(bytes)).toEqual(UploadFrame.decode(bytes));
  });

  test("data that ends before its length is refused", () => {
    expect(() => decodeUploadFrame(Buffer.from([0x12, 9, 65]))).toThrow();
  });
});
