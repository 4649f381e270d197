import { expect, test } from "vitest";
import { bootstrapMax, parseBootstrap, parseEndpoint, printEndpoint } from "./bootstrap.ts";

test("a list may use commas or white space, has default ports, and names each address once", () => {
  expect(parseBootstrap(" box-a:2027, box-b\n10.0.0.3:4000,,box-a ")).toEqual([
    { host: "box-a", port: 2027 },
    { host: "box-b", port: 2027 },
    { host: "10.0.0.3", port: 4000 },
  ]);
});

test("an empty list is fine", () => {
  expect(parseBootstrap("")).toEqual([]);
});

test("IPv6 stands in brackets", () => {
  expect(parseBootstrap("[::1]:99,[fe80::2]")).toEqual([
    { host: "::1", port: 99 },
    { host: "fe80::2", port: 2027 },
  ]);
  expect(printEndpoint({ host: "::1", port: 99 })).toBe("[::1]:99");
});

test.each(["a:0", "a:65536", "a:", ":1", "::1", "[a]:1", "http://a:1", "a:1:2", "-a:1", "a/b", "a@b:1"])(
  "what is not host:port is refused by name: %s",
  (entry) => {
    expect(parseEndpoint(entry)).toBeUndefined();
    expect(parseBootstrap(`ok:1,${entry}`)).toMatchObject({
      code: "INVALID",
      message: expect.stringContaining(`"${entry}"`),
    });
  },
);

test("an endless list is refused", () => {
  const text = Array.from({ length: bootstrapMax + 1 }, (_, i) => `h${i}`).join(",");

  expect(parseBootstrap(text)).toMatchObject({ code: "INVALID" });
});
