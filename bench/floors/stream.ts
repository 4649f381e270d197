// Floor of the network: an empty gRPC stream over loopback between two processes, one frame of bytes a turn, no TLS, no
// disk, no work. node bench/floors/stream.ts CLIENTS SECONDS; one JSON line: echoes of 256 B a second, and bulk bytes a second.
import { fork } from "node:child_process";
import grpc from "@grpc/grpc-js";

const same = (bytes: Buffer) => bytes;
const streams = { requestStream: true, responseStream: true };
const codecs = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const method = { path: "/floor/Echo", ...streams, ...codecs };
const options = { "grpc-node.flow_control_window": 4 * 1024 * 1024, "grpc.max_receive_message_length": -1 };
const messageBytes = 256;
const bulkBytes = 256 * 1024 * 1024;
const bulkFrame = 256 * 1024;

if (process.argv[2] === "serve") serve();
else await ask(Number(process.argv[2] ?? 64), Number(process.argv[3] ?? 2));

/** Frames of whole messages are echoed; a bulk frame is only counted. */
function serve(): void {
  const server = new grpc.Server(options);
  server.addService({ echo: method } as unknown as grpc.ServiceDefinition, {
    echo: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      let bulk = 0;
      call.on("data", (frame: Buffer) => {
        if (frame.length < bulkFrame) return void call.write(frame);
        bulk += frame.length;
        if (bulk >= bulkBytes) call.write(Buffer.alloc(messageBytes));
      });
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
  });
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_error, port) => process.send?.(port));
}

async function ask(clients: number, seconds: number): Promise<void> {
  const child = fork(import.meta.filename, ["serve"]);
  const port = await new Promise<number>((resolve) => child.once("message", (message) => resolve(Number(message))));
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
  const open = () => client.makeBidiStreamRequest(method.path, same, same);
  const rate = await echo(open(), { clients, ms: seconds * 1000 });
  const bulk = await send(open());
  process.stdout.write(`${JSON.stringify({ rate, bulk })}\n`);
  process.exit(child.kill() ? 0 : 1);
}

type Stream = grpc.ClientDuplexStream<Buffer, Buffer>;

function echo(stream: Stream, { clients, ms }: { clients: number; ms: number }): Promise<number> {
  const began = performance.now();
  let count = 0;
  return new Promise((resolve) => {
    stream.on("error", () => {});
    stream.on("data", (frame: Buffer) => {
      count += frame.length / messageBytes;
      const elapsed = performance.now() - began;
      if (elapsed < ms) return void setImmediate(() => stream.write(frame));
      stream.cancel();
      resolve((count / elapsed) * 1000);
    });
    stream.write(Buffer.alloc(messageBytes * clients));
  });
}

async function send(stream: Stream): Promise<number> {
  const frame = Buffer.alloc(bulkFrame);
  const began = performance.now();
  const answered = new Promise<void>((resolve) => stream.once("data", () => resolve()));
  for (let at = 0; at < bulkBytes; at += bulkFrame) {
    if (!stream.write(frame)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  await answered;
  const rate = (bulkBytes / (performance.now() - began)) * 1000;
  stream.end();
  return rate;
}
