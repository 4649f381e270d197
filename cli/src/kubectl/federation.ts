// A federation in a namespace as the verbs of `nexus` see any other: endpoints, token and authority come from Secret
// nexus-token, connections go through port-forwards.
import { apiGroup, type Kind, kindNames, kinds } from "@nexus-federation/operator/api/kinds.ts";
import {
  clientServiceName,
  managedSelector,
  podName,
  serviceHost,
  tokenName,
} from "@nexus-federation/operator/backends/kubernetes/names.ts";
import { LocalError } from "@nexus-federation/operator/backends/local/local-error.ts";
import { boxPorts } from "@nexus-federation/operator/backends/shared/container.ts";
import type { FoundContext } from "../context.ts";
import { Forwards, type Target } from "./forwards.ts";
import type { Kubectl, KubeObject } from "./kube.ts";

/** A kind as kubectl cannot mistake it for another group's. */
const named = (kind: Kind) => `${kinds[kind].plural}.${apiGroup}`;
export const ownKinds = kindNames.map(named);
export const boxKind = named("Box");
export const groupKind = named("RaftGroup");
export const zoneKind = named("ConsensusZone");
/** More boxes are reached through these. */
const forwardsMax = 9;

export interface AccessFlags {
  /** Come in as this service account of the namespace instead of the owner. */
  serviceAccount?: string;
}

/** Opens port-forwards to the running data boxes and answers how to speak to them. */
export async function connectTo(kubectl: Kubectl, flags: AccessFlags): Promise<FoundContext> {
  const [secret] = await kubectl.get([`secret/${tokenName}`]);
  const data = (secret as { data?: Record<string, string> }).data ?? {};
  const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const forwards = await Forwards.open(kubectl, await targetsOf(kubectl));
  const token = flags.serviceAccount === undefined ? text("token") : await tokenOf(kubectl, flags.serviceAccount);
  const federation = text("federation");
  const { endpoints, dial } = forwards;
  return {
    name: federation,
    source: `Secret ${tokenName}`,
    context: { federation, endpoints, token, ca: text("ca.crt") },
    settings: { federation, endpoints, token, ca: text("ca.crt"), dial },
  };
}

/** Data boxes whose pods run. */
async function targetsOf(kubectl: Kubectl): Promise<Target[]> {
  const boxes = await kubectl.get([boxKind]);
  const pods = await kubectl.get(["pods"], "-l", managedSelector);
  const runs = (name: string) =>
    pods.some(
      (pod) => pod.metadata.name === name && (pod.status as { phase?: string } | undefined)?.phase === "Running",
    );
  const targets = boxes
    .filter((box) => box.spec?.["role"] !== "Witness")
    .map((box) => ({ pod: podName(box.metadata.name), endpoint: endpointOf(box) }))
    .filter(({ pod }) => runs(pod));
  return targets.slice(0, forwardsMax);
}

function endpointOf(box: KubeObject): string {
  const known = box.status?.["clientEndpoint"];
  const host = serviceHost(clientServiceName(box.metadata.name), box.metadata.namespace ?? "default");
  return typeof known === "string" ? known : `${host}:${boxPorts.client}`;
}

async function tokenOf(kubectl: Kubectl, account: string): Promise<string> {
  const federations = await kubectl.get([named("Federation")]);
  const auth = federations[0]?.spec?.["auth"] as { tokenReview?: { audience?: string } } | undefined;
  if (auth?.tokenReview === undefined)
    throw new LocalError("INVALID", "--service-account: the Federation has no spec.auth.tokenReview");
  const audience = auth.tokenReview.audience ?? "nexus";
  return (await kubectl.run(["create", "token", account, `--audience=${audience}`])).trim();
}
