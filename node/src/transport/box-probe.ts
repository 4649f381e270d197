// Whether a box's peer listener and these credentials accept each other, shown by a handshake alone: a witness has no
// admin service to ask.
import tls from "node:tls";
import { identityUri } from "../auth/identities.ts";
import { type Credentials, contextOptions, identityOfCertificate } from "./credentials.ts";

const timeoutMs = 3_000;

/**
 * True when the box at `endpoint` ("host:port") accepted the certificate and was accepted. In TLS 1.3 a client's handshake
 * ends before the server has judged it; what says that it was accepted is the HTTP/2 server's first frame.
 */
export function acceptsEachOther(
  endpoint: string,
  own: Credentials,
  { federation, box }: { federation: string; box: string },
): Promise<boolean> {
  const at = endpoint.lastIndexOf(":");
  const expected = identityUri({ federation, kind: "box", id: box });
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: endpoint.slice(0, at).replace(/^\[|\]$/g, ""),
      port: Number(endpoint.slice(at + 1)),
      ...contextOptions(own),
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
      servername: "box.nexus.internal",
      checkServerIdentity: (_host, { subjectaltname }) => {
        const identity = identityOfCertificate(subjectaltname);
        const isIt = identity !== undefined && identityUri(identity) === expected;
        return isIt ? undefined : new Error(`expected ${expected}, the certificate says ${subjectaltname}`);
      },
    });
    const end = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}
