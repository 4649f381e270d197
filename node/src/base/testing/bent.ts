import fc from "fast-check";

/** A true message with bytes changed, dropped, added or doubled: it passes the first checks and fails in the middle. */
export function bent(message: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat(Math.max(0, message.length - 1)),
    byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
    kind: fc.constantFrom("set", "drop", "add", "cut", "double"),
  });
  return fc.array(edit, { minLength: 1, maxLength: 5 }).map((edits) => {
    let bytes = [...message];
    for (const { at, byte, kind } of edits) {
      if (kind === "cut") bytes = bytes.slice(0, at);
      else if (kind === "double") bytes = [...bytes.slice(0, at), ...bytes.slice(Math.max(0, at - 16))];
      else bytes.splice(at, kind === "add" ? 0 : 1, ...(kind === "drop" ? [] : [byte]));
    }
    return Uint8Array.from(bytes);
  });
}

/** Any bytes, or bent ones of these. */
export function badBytes(...messages: Uint8Array[]): fc.Arbitrary<Uint8Array> {
  return fc.oneof(fc.uint8Array({ maxLength: 400 }), ...messages.map(bent));
}
