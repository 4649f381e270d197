// The certificate authority gives way to another while clients write: no process is started anew, no call fails.
import { describe, expect, inject, test } from "vitest";
import { until } from "../cluster/programs.ts";
import { furtherWrites, underLoad } from "./harness/scenario.ts";
import { worldOf } from "./harness/world.ts";

const context = inject("cluster");
const boxes = ["nexus-1", "nexus-2", "witness-1"];
const annotation = "federation.nexus.io/rotate-authority";

describe.skipIf(context === undefined)("a federation whose certificate authority gives way to another", () => {
  const world = worldOf(context, "authority");

  const trusted = async (secret: string) => {
    const { data } = (await world.federation.get(`secret/${secret}`)) as unknown as { data: Record<string, string> };
    return Buffer.from(data["ca.crt"] ?? "", "base64").toString();
  };
  const started = () =>
    Promise.all(
      boxes.map(async (box) => {
        const { metadata, status } = await world.federation.get(`pod/${box}-0`);
        const { containerStatuses } = status as { containerStatuses?: { restartCount: number }[] };
        return [metadata.uid, containerStatuses?.[0]?.restartCount];
      }),
    );

  test("both are trusted until every box has taken up the second, then the first is dropped", async () => {
    const { federation } = world;
    const [first, before] = [await trusted("nexus-token"), await started()];
    // Clients that began with the first alone read its successor as well, as their owners are told to.
    await federation.run(["annotate", "secret", "nexus-authority", `${annotation}=introduce`]);
    const both = async () => (await trusted("nexus-token")) !== first;
    await until("two trusted authorities", both, { withinMs: 60_000 });

    await underLoad(federation, world.use, async (load) => {
      await federation.run(["annotate", "secret", "nexus-authority", `${annotation}=finish`, "--overwrite"]);
      const isOver = async () => {
        const { metadata: now } = (await federation.get("secret/nexus-authority")) as unknown as {
          metadata: { annotations?: Record<string, string> };
        };
        return now.annotations?.[annotation] === undefined;
      };
      await until("the end of the rotation", isOver, { withinMs: 480_000, everyMs: 2_000 });
      await furtherWrites(load);
      await federation.settled();
    });

    const last = await trusted("nexus-token");
    expect(last).not.toContain(first.trim());
    for (const box of boxes) expect(await trusted(`${box}-tls`)).toBe(last);
    expect(await started()).toEqual(before);
  });
});
