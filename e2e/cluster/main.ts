// `make cluster`: a cluster for trying things by hand; it prints how to use it and ends with Ctrl-C.
import { makeImages } from "../../images/make.ts";
import { readFlags } from "../../test/flags.ts";
import { chooseProvider } from "./choose.ts";

readFlags({
  command: "node e2e/cluster/main.ts",
  about: "A Kubernetes to try things on, with the images in it; Ctrl-C removes it.",
  flags: {},
  more: "Environment: NODES is how many nodes it has (1).",
});
const started = performance.now();
const provider = await chooseProvider();
if (typeof provider === "string") {
  console.error(`no cluster can be had here: ${provider}`);
  process.exit(1);
}
const cluster = await provider.up({ name: "hand", nodes: Number(process.env["NODES"] ?? 1) });
console.log(`${provider.name} cluster ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
const stop = async () => {
  await cluster.down();
  process.exit(0);
};
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
if (provider.name !== "kubeconfig") await cluster.loadImages(await makeImages());
console.log(`export KUBECONFIG=${cluster.kubeconfig}\nalias kubectl=${cluster.facts.kubectl}\nCtrl-C removes it`);
setInterval(() => undefined, 60_000);
