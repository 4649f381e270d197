import { configInContainer } from "../shared/container.ts";
import type { BoxModel } from "./model.ts";

/** Where things are inside a pod. */
export const podPaths = {
  config: "/etc/nexus/config",
  tls: "/etc/nexus/tls",
  access: "/etc/nexus/access",
  data: "/var/lib/nexus",
  api: "/var/run/secrets/kubernetes.io/serviceaccount",
} as const;

export function configOf(box: BoxModel): Record<string, unknown> {
  const config = configInContainer(box, podPaths);
  if (box.spec.role === "Witness") return config;
  return {
    ...config,
    ...(box.audience === undefined ? {} : { tokenReview: tokenReviewOf(box.audience) }),
    peers: [...box.peers],
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
