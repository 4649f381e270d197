import { expect, test } from "vitest";
import { connectionError, plainText } from "./problems.ts";

const settings = { federation: "acme", endpoints: ["a:1"], ca: "PEM" };
const wrapped = (why: string) =>
  new Error(`14 UNAVAILABLE: No connection established. Last error: Error: ${why}. Resolution note: `);

test("the words of the layers below are taken off", () => {
  expect(plainText(wrapped("connect ECONNREFUSED 127.0.0.1:9").message)).toBe("connect ECONNREFUSED 127.0.0.1:9");
  expect(plainText("16 UNAUTHENTICATED: UNAUTHENTICATED: the bearer token is not known")).toBe(
    "the bearer token is not known",
  );
  expect(plainText("the stream broke")).toBe("the stream broke");
});

test("a stranger is INVALID, since waiting does not make it known; who is not there may come", () => {
  const code = (why: string) => connectionError(wrapped(why), settings).code;

  expect(code("self-signed certificate in certificate chain")).toBe("INVALID");
  expect(code("expected a box of federation acme, the certificate says URI:spiffe://default/box/a")).toBe("INVALID");
  expect(code("connect ECONNREFUSED 127.0.0.1:9")).toBe("ZONE_UNAVAILABLE");
  expect(connectionError(wrapped("Failed to connect"), { ...settings, ca: undefined }).message).toContain("want TLS");
});
