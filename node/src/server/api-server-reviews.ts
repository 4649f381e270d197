import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import type { ServiceAccount } from "../auth/service-accounts.ts";
import type { TokenReviews } from "./service-account-authenticator.ts";

export interface ApiServer {
  /** Root of the API server, https. */
  url: string;
  /** File with the authority (PEM) of its certificate. */
  caFile: string;
  /** File with the token that this box shows; read anew for each question, because the kubelet renews it. */
  tokenFile: string;
}

/** Below the time that a client gives a connection. */
const deadlineMs = 2_000;
const answerBytesMax = 1024 * 1024;
const path = "/apis/authentication.k8s.io/v1/tokenreviews";
const kept = { keepAlive: true, maxSockets: 8 };

interface Review {
  message?: string;
  status?: { authenticated?: boolean; audiences?: string[]; user?: { username?: string; groups?: string[] } };
}

/** TokenReview of the Kubernetes API server. */
export class ApiServerReviews implements TokenReviews {
  readonly #server: ApiServer;
  readonly #agent = new Agent(kept);

  constructor(server: ApiServer) {
    this.#server = server;
  }

  async review(token: string, audience: string): Promise<ServiceAccount | undefined> {
    const body = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, audiences: [audience] },
    };
    const { status } = await this.#post(JSON.stringify(body));
    // A server that knows no audiences answers none: then the token is good for the server, not for us.
    if (status?.authenticated !== true || !status.audiences?.includes(audience)) return undefined;
    const { username, groups } = status.user ?? {};
    return username === undefined ? undefined : { name: username, groups: groups ?? [] };
  }

  close(): void {
    this.#agent.destroy();
  }

  async #post(body: string): Promise<Review> {
    const { url, caFile, tokenFile } = this.#server;
    const [ca, own] = await Promise.all([readFile(caFile, "utf8"), readFile(tokenFile, "utf8")]);
    const headers = {
      authorization: `Bearer ${own.trim()}`,
      accept: "application/json",
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "user-agent": "nexus-box",
    };
    const signal = AbortSignal.timeout(deadlineMs);
    const { promise, resolve, reject } = Promise.withResolvers<{ code: number; text: string }>();
    const asking = request(new URL(path, url), { method: "POST", agent: this.#agent, ca, headers, signal });
    asking.on("error", (error) => reject(signal.aborted ? new Error(`no answer within ${deadlineMs} ms`) : error));
    asking.on("response", (message) => {
      let text = "";
      message.setEncoding("utf8");
      message.on("data", (piece: string) => {
        text += piece;
        if (text.length > answerBytesMax) message.destroy(new Error(`its answer is above ${answerBytesMax} bytes`));
      });
      message.on("error", reject);
      message.on("end", () => resolve({ code: message.statusCode ?? 0, text }));
    });
    asking.end(body);
    const { code, text } = await promise;
    const answer = parsed(text);
    if (code !== 200 && code !== 201) throw new Error(`${code} ${answer.message ?? ""}${advice(code)}`.trim());
    return answer;
  }
}

function parsed(text: string): Review {
  try {
    return JSON.parse(text) as Review;
  } catch {
    return {};
  }
}

function advice(code: number): string {
  return code === 403
    ? " (bind the chart's ClusterRole nexus-operator-token-review to this box's service account)"
    : "";
}
