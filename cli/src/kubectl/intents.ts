// Intents are annotations (docs/concepts/kubernetes.md), so that a sync from Git does not revert them.
import { userInfo } from "node:os";
import { drainAnnotation, fenceAnnotation, hibernateAnnotation } from "@nexus-federation/operator/api/annotations.ts";
import type { Command } from "commander";
import { UsageError } from "../durations.ts";
import { type Tools, verb } from "../tools.ts";
import { boxKind } from "./federation.ts";
import type { Kubectl } from "./kube.ts";

const intents = [
  ["drain", drainAnnotation, "let boxes hand over what they lead and take no leadership"],
  ["fence", fenceAnnotation, "stop boxes at once, whatever they lead, and keep them stopped"],
  ["hibernate", hibernateAnnotation, "stop boxes in their turn, volumes kept; all boxes together go at once"],
] as const;
/** As Kubernetes bounds the name of a field manager. */
const managerLengthMax = 128;

interface Flags {
  off?: boolean;
  all?: boolean;
}

export function intentVerbs(program: Command, kubectl: () => Kubectl): void {
  for (const [name, annotation, description] of intents)
    program
      .command(`${name} [box...]`)
      .description(description)
      .option("--all", "all boxes of the namespace")
      .option("--off", "no longer")
      .action(
        verb((tools, boxes: string[], flags: Flags) => ask(tools, { kubectl: kubectl(), annotation, boxes, flags })),
      );
}

async function ask(
  tools: Tools,
  { kubectl, annotation, boxes, flags }: { kubectl: Kubectl; annotation: string; boxes: string[]; flags: Flags },
): Promise<void> {
  if (boxes.length > 0 === (flags.all === true)) throw new UsageError("name the boxes, or say --all");
  const value = flags.off ? `${annotation}-` : `${annotation}=true`;
  const which = flags.all ? ["--all"] : boxes;
  const who = await nameOf(kubectl);
  await kubectl.run(["annotate", boxKind, ...which, value, "--overwrite", `--field-manager=${who}`]);
  const text = `${flags.all ? "all boxes" : boxes.join(", ")}: ${flags.off ? "no longer asked" : "asked"} (${value}) by ${who}; kubectl get boxes shows what comes of it`;
  tools.print(text, { boxes: flags.all ? "all" : boxes, annotation, on: !flags.off, by: who });
}

/** Who asks, as the API server knows them: it stands in status.requestedBy. */
async function nameOf(kubectl: Kubectl): Promise<string> {
  const text = await kubectl.run(["auth", "whoami", "-o", "json"]).catch(() => "{}");
  const { status } = JSON.parse(text) as { status?: { userInfo?: { username?: string } } };
  return (status?.userInfo?.username ?? userInfo().username).slice(0, managerLengthMax);
}
