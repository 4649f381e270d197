// Stays until its control pipe ends or it is told to stop; refuses who calls, which shows that it turns.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const { peer } = JSON.parse(readFileSync(process.argv[process.argv.indexOf("--config") + 1], "utf8"));
process.on("SIGTERM", () => process.exit(0));
process.stdin.on("end", () => process.exit(0)).resume();
createServer((socket) => socket.on("error", () => {}).end("no"))
  .on("error", () => {})
  .listen(peer.port, peer.host);
// Also without its port.
setInterval(() => {}, 1000);
