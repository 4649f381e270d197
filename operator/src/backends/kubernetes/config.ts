import type { BoxModel } from "./model.ts";
import { boxPorts } from "./names.ts";

/** Where things are inside a pod. */
export const podPaths = {
  config: "/etc/nexus/config",
  tls: "/etc/nexus/tls",
  access: "/etc/nexus/access",
  data: "/var/lib/nexus",
} as const;

/** Every address of the pod. */
const anywhere = "0.0.0.0";

/** The configuration file of the process (node/src/box/settings.ts, node/src/witness.ts). */
export function configOf(box: BoxModel): Record<string, unknown> {
  const { name, federation, spec, peers } = box;
  const common = {
    federation,
    box: name,
    role: spec.role,
    region: spec.region,
    cluster: spec.cluster,
    dir: `${podPaths.data}/box`,
    peer: { host: anywhere, port: boxPorts.peer },
    tls: {
      ca: `${podPaths.tls}/ca.crt`,
      cert: `${podPaths.tls}/tls.crt`,
      key: `${podPaths.tls}/tls.key`,
    },
    health: { host: anywhere, port: boxPorts.health },
  };
  if (spec.role === "Witness") return common;
  return {
    ...common,
    client: { host: anywhere, port: boxPorts.client },
    tokensFile: `${podPaths.access}/tokens.json`,
    peers: [...peers],
  };
}
