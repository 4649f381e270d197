// A load from inside the cluster, where names of Services mean something and clients follow leaders as users' do.
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { build } from "esbuild";
import { banner } from "../../../images/bundle.ts";
import type { Cluster, Forward } from "../../cluster/cluster.ts";
import { until } from "../../cluster/programs.ts";

export interface LoadNow {
  acknowledged: number;
  refused: Record<string, number>;
  longestGapMs: number;
}

export interface LoadResult extends LoadNow {
  /** Acknowledged writes that are gone or other than written. */
  missing: string[];
  /** Registers whose histories no order explains. */
  wrong: string[];
}

const port = 8000;
const triesMax = 5;

/** One file; it fits a ConfigMap (1 MiB). */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, "loader.ts")],
    bundle: true,
    minify: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: banner },
  });
  return outputFiles[0]!.text;
}

export class Load {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #name: string;
  #forward: Forward;

  private constructor(cluster: Cluster, at: { namespace: string; name: string }, forward: Forward) {
    this.#cluster = cluster;
    this.#namespace = at.namespace;
    this.#name = at.name;
    this.#forward = forward;
  }

  /** Starts writing and reading in the federation of the namespace; the owner's token is its credential. */
  static async start(cluster: Cluster, namespace: string, use: { image: string; node?: string }): Promise<Load> {
    // Never the name of one that still ends.
    const name = `loader-${randomUUID().slice(0, 8)}`;
    const manifest = [configMap(await bundle()), pod(name, use)];
    await cluster.kubectl(["-n", namespace, "apply", "--server-side", "-f", "-"], JSON.stringify(list(manifest)));
    await cluster.kubectl(["-n", namespace, "wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s"]);
    return new Load(cluster, { namespace, name }, await cluster.forward(namespace, `pod/${name}`, port));
  }

  now(): Promise<LoadNow> {
    return this.#ask("/now") as Promise<LoadNow>;
  }

  /** Ends it and reads back every acknowledged write. */
  async stop(): Promise<LoadResult> {
    const result = (await this.#ask("/stop")) as LoadResult;
    this.#forward.stop();
    await this.#cluster.kubectl([
      "-n",
      this.#namespace,
      "delete",
      "pod",
      this.#name,
      "--grace-period=0",
      "--wait=false",
    ]);
    return result;
  }

  /** A way that broke, as when the API server was killed, is made anew. */
  async #ask(path: string): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      try {
        // A connection for each question: the server closes those that rest.
        const url = `http://127.0.0.1:${this.#forward.port}${path}`;
        return await (await fetch(url, { headers: { connection: "close" } })).json();
      } catch (error) {
        if (tries === triesMax) throw error;
        this.#forward.stop();
        const forward = () => this.#cluster.forward(this.#namespace, `pod/${this.#name}`, port).catch(() => undefined);
        this.#forward = await until("a way to the loader", forward, { withinMs: 60_000 });
      }
    }
  }
}

const list = (items: object[]) => ({ apiVersion: "v1", kind: "List", items });

function configMap(script: string): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "loader" }, data: { "loader.mjs": script } };
}

function pod(name: string, { image, node }: { image: string; node?: string }): object {
  const mount = (name: string, mountPath: string) => ({ name, mountPath, readOnly: true });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: "loader" } },
    spec: {
      restartPolicy: "Never",
      ...(node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": node } }),
      containers: [
        {
          name: "loader",
          image,
          imagePullPolicy: "IfNotPresent",
          command: ["/nodejs/bin/node", "/load/loader.mjs"],
          readinessProbe: { httpGet: { path: "/now", port }, periodSeconds: 1 },
          volumeMounts: [mount("load", "/load"), mount("token", "/etc/token")],
        },
      ],
      volumes: [
        { name: "load", configMap: { name: "loader" } },
        { name: "token", secret: { secretName: "nexus-token" } },
      ],
    },
  };
}
