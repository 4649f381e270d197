import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import { writeCredentials } from "@nexus-federation/node/transport/credentials.ts";
import { until } from "../../harness/run.ts";
import { dataBoxes, pick } from "../scenario.ts";
import type { Strike } from "./strike.ts";

const dayMs = 86_400_000;
const takenMsMax = 60_000;

export const certificates: Strike = {
  name: "certificate",
  about: "the certificate of a running data box is replaced; it must show the new one without a restart",
  async strike({ federation, random }) {
    const box = pick(random, dataBoxes);
    const authority = await Authority.load(federation.folder.authority);
    const next = await authority.issue({ kind: "box", id: box }, { nowMs: Date.now(), lifeMs: dayMs });
    writeCredentials(federation.folder.certificates(box), next);
    const { pid, grpc } = await federation.box(box);
    const wanted = new X509Certificate(next.certificate).fingerprint256;
    return async () => {
      await until(`${box} shows its new certificate`, async () => (await shownBy(grpc)) === wanted, takenMsMax);
      if ((await federation.box(box)).pid !== pid) throw new Error(`${box} was restarted`);
    };
  },
};

/** Fingerprint of the certificate that stands at the door. */
function shownBy(endpoint: string): Promise<string> {
  const [host, port] = endpoint.split(":");
  return new Promise((resolve, reject) => {
    const options = { host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ["h2"] };
    const socket = connect(options, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      socket.destroy();
    });
    socket.on("error", reject);
  });
}
