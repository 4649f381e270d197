/** What a receipt's token says: this much of this zone's log was seen. */
export interface Token {
  log: number;
  generation: number;
  index: number;
}

const version = 1;
const tokenBytes = 21;

/** Opaque to callers: version, log, generation, index; big-endian. */
export function encodeToken(token: Token): Buffer {
  const bytes = Buffer.allocUnsafe(tokenBytes);
  bytes[0] = version;
  bytes.writeUIntBE(0, 1, 2);
  bytes.writeUIntBE(token.log, 3, 6);
  bytes.writeUInt32BE(token.generation, 9);
  bytes.writeUIntBE(0, 13, 2);
  bytes.writeUIntBE(token.index, 15, 6);
  return bytes;
}

/** A token as text that says only which log it is: where an attempt went (`details.pin` of an UNKNOWN_OUTCOME). */
export function pinText({ log, generation }: Pick<Token, "log" | "generation">): string {
  return encodeToken({ log, generation, index: 0 }).toString("base64url");
}

/** Undefined when the bytes are no token of this version. */
export function decodeToken(bytes: Uint8Array): Token | undefined {
  if (bytes.length !== tokenBytes || bytes[0] !== version) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.readUIntBE(1, 2) !== 0 || view.readUIntBE(13, 2) !== 0) return undefined;
  return { log: view.readUIntBE(3, 6), generation: view.readUInt32BE(9), index: view.readUIntBE(15, 6) };
}
