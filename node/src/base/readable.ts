/** The message in `bytes`; undefined when they are none. A peer whose certificate is good may still send anything. */
export function readable<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T | undefined {
  try {
    return codec.decode(bytes);
  } catch {
    return undefined;
  }
}
