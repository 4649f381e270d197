import { anyone, type Federation } from "./federation.ts";

interface Place {
  box: string;
  path: string;
}
const none = Buffer.alloc(0);

/** Sends content of any size through a box, in pieces that fit no chunk. */
export async function uploadWhole(federation: Federation, { box, path }: Place, content: Uint8Array) {
  const write = {
    path,
    content: none,
    chunks: [],
    size: 0,
    etag: none,
    contentType: "text/plain",
    metadata: { k: "v" },
    condition: undefined,
    uploadIndex: 0,
  };
  const session = federation.node(box).box.upload({ options: undefined, write, zone: "" }, anyone);
  const run = async () => {
    for (let at = 0; at < content.length; at += 100_000) await session.write(content.subarray(at, at + 100_000));
    return session.finish();
  };
  return federation.cluster.settle(run(), 60_000);
}

/** The bytes of a file, or of a range of it, as a box streams them. */
export async function downloadWhole(
  federation: Federation,
  { box, path }: Place,
  range: { offset?: number; length?: number } = {},
): Promise<Buffer> {
  const request = { options: undefined, path, offset: range.offset ?? 0, length: range.length, zone: "" };
  const run = async () => {
    const parts: Uint8Array[] = [];
    for await (const { data } of federation.node(box).box.download(request, anyone, new AbortController().signal))
      parts.push(data);
    return Buffer.concat(parts);
  };
  return federation.cluster.settle(run(), 60_000);
}
