export { systemZone } from "@nexus-federation/node/tree/system-zone.ts";
