import type { BoxModel } from "./model.ts";
import { boxPorts } from "./names.ts";

/** Where things are inside a pod. */
export const podPaths = {
  config: "/etc/nexus/config",
  tls: "/etc/nexus/tls",
  access: "/etc/nexus/access",
  data: "/var/lib/nexus",
  api: "/var/run/secrets/kubernetes.io/serviceaccount",
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
    ...(box.audience === undefined ? {} : { tokenReview: tokenReviewOf(box.audience) }),
    peers: [...peers],
  };
}

/** The API server as every pod finds it. */
function tokenReviewOf(audience: string): Record<string, string> {
  return {
    url: "https://kubernetes.default.svc",
    caFile: `${podPaths.api}/ca.crt`,
    tokenFile: `${podPaths.api}/token`,
    audience,
  };
}
