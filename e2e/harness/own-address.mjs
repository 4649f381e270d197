// Preloaded into a box behind proxies (proxies.ts): it listens on an address of its own instead of the one that others are
// told, where the proxy listens, and speaks from it, so that the proxy knows who speaks.
import { Server, Socket } from "node:net";

const { NEXUS_TEST_SHOWN: shown, NEXUS_TEST_OWN: own } = process.env;
const { listen } = Server.prototype;
const { connect } = Socket.prototype;

Server.prototype.listen = function (options, ...more) {
  const isShown = typeof options === "object" && options?.host === shown;
  return listen.call(this, isShown ? { ...options, host: own } : options, ...more);
};

Socket.prototype.connect = function (...given) {
  // Arguments that Node has put in order already stand in a list.
  const options = Array.isArray(given[0]) ? given[0][0] : given[0];
  if (typeof options === "object" && options?.host?.startsWith("127.")) options.localAddress ??= own;
  return connect.apply(this, given);
};
