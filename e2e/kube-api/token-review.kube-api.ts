// A box that asks a real API server about service account tokens, with tokens as `kubectl create token` makes them.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NexusAdmin } from "@nexus-federation/node/client/admin.ts";
import type { NexusClient } from "@nexus-federation/node/client/client.ts";
import type { ClientSettings } from "@nexus-federation/node/client/types.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Federation } from "../harness/federation.ts";
import { checkout, until } from "../harness/run.ts";
import { box, documents, systemGroup, zone } from "../harness/yaml.ts";
import { controlPlane, eventually, kubectl, newNamespace, side } from "./harness/api.ts";
import { FaultProxy } from "./harness/fault-proxy.ts";

const yaml = documents(box("a"), systemGroup("system", ["a"]), zone("root", "/**", "mode: strong, authorityBox: a"));

describe.skipIf(!controlPlane)("a box with token review", () => {
  let federation: Federation;
  let proxy: FaultProxy;
  let process_: ChildProcess;
  let namespace = "";
  let boxLog = "";
  let settings: ClientSettings;

  const tokenOf = async (account: string, ...more: string[]) =>
    (await kubectl(["-n", namespace, "create", "token", account, ...more])).trim();
  const clientWith = (token: string): NexusClient => federation.client({ token, timeoutMs: 10_000 });
  /** Refusals that may pass are tried again until the time is over. */
  const attempt = async (token: string, path = "/shop/x", timeoutMs = 10_000) => {
    const client = clientWith(token);
    try {
      await client.put(path, Buffer.from("1"), { timeoutMs });
      return "done";
    } catch (error) {
      return `${(error as { code?: string }).code}: ${(error as Error).message}`;
    } finally {
      client.close();
    }
  };

  beforeAll(async () => {
    const { client } = side();
    namespace = await newNamespace(client);
    for (const account of ["nexus-box", "app", "other", "ops", "gone"])
      await kubectl(["-n", namespace, "create", "serviceaccount", account]);
    await kubectl(["create", "clusterrole", `${namespace}-review`, "--verb=create", "--resource=tokenreviews"]);
    await bind();
    proxy = await FaultProxy.start();
    federation = await Federation.up({ yaml });
    const context = federation.context();
    settings = { ...context };
    const config = JSON.parse(readFileSync(join(federation.dir, "run/a.config.json"), "utf8"));
    await federation.nexus(["down"]);
    await startBox(config);
  }, 300_000);
  afterAll(async () => {
    process_?.kill("SIGKILL");
    await federation?.down();
    await proxy?.stop();
  });

  const bind = () =>
    kubectl([
      ...["create", "clusterrolebinding", `${namespace}-review`, `--clusterrole=${namespace}-review`],
      `--serviceaccount=${namespace}:nexus-box`,
    ]);

  async function startBox(config: object & { tokensFile?: string }): Promise<void> {
    const access = JSON.parse(readFileSync(config.tokensFile ?? "", "utf8"));
    const user = (name: string, prefix: string, rights: string[]) => ({ name, grants: [{ prefix, rights }] });
    access.users = [
      user(`system:serviceaccount:${namespace}:app`, "/shop", ["read", "write"]),
      user(`system:serviceaccounts:${namespace}`, "/public", ["read"]),
      user(`system:serviceaccount:${namespace}:ops`, "/", ["admin"]),
    ];
    const tokenReview = {
      url: proxy.url,
      caFile: federation.file("api-ca.crt", proxy.ca),
      tokenFile: federation.file("api-token", await tokenOf("nexus-box")),
      audience: "nexus",
    };
    const tokensFile = federation.file("access.json", JSON.stringify(access));
    const file = federation.file(
      "box.json",
      JSON.stringify({ ...config, tokensFile, tokenReview, controlPipe: false }),
    );
    process_ = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "node/src/box.ts", "--config", file], {
      cwd: checkout,
      stdio: ["ignore", "pipe", "inherit"],
    });
    process_.stdout?.on("data", (part: Buffer) => {
      boxLog += part;
    });
    await until("the owner's token works", async () => (await attempt(settings.token ?? "")) === "done", 60_000);
  }

  test("lets an account in with the rights of its entry, and with no other", async () => {
    const token = await tokenOf("app", "--audience", "nexus");

    expect(await attempt(token)).toBe("done");
    expect(await attempt(token, "/elsewhere")).toContain(
      `DENIED: system:serviceaccount:${namespace}:app has no write right on /elsewhere`,
    );
    const other = clientWith(await tokenOf("other", "--audience", "nexus"));
    await expect(other.get("/public/nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(other.get("/shop/x")).rejects.toMatchObject({ code: "DENIED" });
  });

  test("refuses a token for another audience with a sentence that says how to make one", async () => {
    const sentence = await attempt(await tokenOf("app"));

    expect(sentence).toContain("UNAUTHENTICATED: the service account token is for audience");
    expect(sentence).toContain("kubectl create token NAME --audience=nexus");
  });

  test("refuses a token that nobody signed", async () => {
    const [head, claims] = (await tokenOf("app", "--audience", "nexus")).split(".");

    expect(await attempt(`${head}.${claims}.AAAA`)).toContain("UNAUTHENTICATED: the API server does not know");
  });

  test("refuses the token of an account that was deleted", async () => {
    const token = await tokenOf("gone", "--audience", "nexus");
    await kubectl(["-n", namespace, "delete", "serviceaccount", "gone"]);

    expect(await attempt(token)).toContain("UNAUTHENTICATED: the API server does not know");
  });

  test("writes who did it into the line of an admin action", async () => {
    const endpoint = settings.endpoints[0] ?? "";
    const as = async (account: string) =>
      new NexusAdmin({ ...settings, token: await tokenOf(account, "--audience", "nexus") }, endpoint);
    const [ops, app] = [await as("ops"), await as("app")];

    await ops.change("drain", { on: false });
    await expect(app.change("drain", { on: false })).rejects.toMatchObject({ code: "DENIED" });

    const line = await eventually("the line", () => boxLog.split("\n").find((each) => each.includes("admin call")));
    expect(JSON.parse(line)).toMatchObject({
      principal: `system:serviceaccount:${namespace}:ops`,
      action: "drain",
    });
    expect(boxLog).not.toContain(`"principal":"system:serviceaccount:${namespace}:app","action"`);
    ops.close();
    app.close();
  });

  test("says what its own account lacks, and lets nobody in meanwhile", async () => {
    await kubectl(["delete", "clusterrolebinding", `${namespace}-review`]);
    const refused = () => tokenOf("app", "--audience", "nexus").then((token) => attempt(token));

    const sentence = await eventually("the right is gone", async () => {
      const outcome = await refused();
      return outcome.includes("403") && outcome;
    });
    expect(sentence).toContain("nexus-operator-token-review");

    await bind();
    await eventually("the right is back", async () => (await refused()) === "done");
  });

  test("knows who was there while the API server is away, opens to nobody else, and needs no restart after", async () => {
    const [known, stranger] = [
      await tokenOf("app", "--audience", "nexus", "--duration=1h"),
      await tokenOf("app", "--audience", "nexus", "--duration=2h"),
    ];
    expect(await attempt(known)).toBe("done");

    proxy.goDown();
    expect(await attempt(known)).toBe("done");
    expect(await attempt(stranger)).toContain("cannot ask the API server about the token");

    proxy.heal();
    await eventually("the stranger comes in", async () => (await attempt(stranger)) === "done");
  });
});
