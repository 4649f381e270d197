// A box in a container, whoever runs it.
import type { BoxSpec } from "../../api/box.ts";

/** Listeners of a box. `health` is plain HTTP for the kubelet, `metrics` for Prometheus. */
export const boxPorts = { client: 2026, peer: 2027, health: 2028, metrics: 2029 } as const;

/** User and group that every image runs as; distroless' `nonroot` has the same number. */
export const imageUser = 65_532;

/** Every address of the container. */
const anywhere = "0.0.0.0";

export interface ContainerBox {
  name: string;
  federation: string;
  spec: Pick<BoxSpec, "role" | "region" | "cluster">;
}

/** Folders inside the container. */
export interface ContainerPaths {
  data: string;
  /** ca.crt, tls.crt and tls.key. */
  tls: string;
  /** tokens.json. */
  access: string;
}

/** The configuration file of the process (node/src/box/settings.ts, node/src/witness.ts). */
export function configInContainer({ name, federation, spec }: ContainerBox, at: ContainerPaths) {
  const common = {
    federation,
    box: name,
    role: spec.role,
    region: spec.region,
    cluster: spec.cluster,
    dir: `${at.data}/box`,
    peer: { host: anywhere, port: boxPorts.peer },
    tls: { ca: `${at.tls}/ca.crt`, cert: `${at.tls}/tls.crt`, key: `${at.tls}/tls.key` },
    health: { host: anywhere, port: boxPorts.health },
  };
  if (spec.role === "Witness") return common;
  return {
    ...common,
    client: { host: anywhere, port: boxPorts.client },
    tokensFile: `${at.access}/tokens.json`,
  };
}
