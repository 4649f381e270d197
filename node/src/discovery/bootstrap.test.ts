import { expect, test } from "vitest";
import { isRefusal } from "../base/errors.ts";
import { contactsMax, parseContacts } from "./bootstrap.ts";

test("entries are parted by commas or white space and keep their order", () => {
  expect(parseContacts(" box-2:2027, far=10.0.0.7:2028\nsix=[::1]:2027 ")).toEqual([
    { box: "box-2", endpoint: "box-2:2027" },
    { box: "far", endpoint: "10.0.0.7:2028" },
    { box: "six", endpoint: "[::1]:2027" },
  ]);
  expect(parseContacts("")).toEqual([]);
});

test("the first wrong entry is named", () => {
  for (const wrong of ["box-2", "box:0", "box:65536", "box:x", ":2027", "a=", "[::1:2027", "ho st"]) {
    expect(parseContacts(`good:2027,${wrong}`)).toMatchObject({ code: "INVALID" });
  }
  expect(parseContacts("good:2027,bad")).toMatchObject({ message: expect.stringContaining("bad") });
});

test("a list beyond its limit is refused", () => {
  const list = Array.from({ length: contactsMax + 1 }, (_, i) => `box-${i}:2027`).join();

  expect(isRefusal(parseContacts(list))).toBe(true);
});
