import type { LogRecord } from "@nexus-federation/proto/records.ts";
import { equalBytes, hexOf } from "../base/bytes.ts";
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";
import type { BoxDisk } from "./admin-status.ts";
import type { Ask } from "./ask.ts";
import type { Handover } from "./handover.ts";
import type { Forward, SystemSource } from "./ports.ts";
import { systemCommand } from "./system-client.ts";

/** Changes of rules by others that may come between while the rule is taken out. */
const attemptsMax = 3;

export interface LostZoneNeeds {
  self: string;
  ask: Ask;
  disk: Pick<BoxDisk, "incarnation">;
  forward: Pick<Forward, "isUp">;
  source: SystemSource;
  handover: Pick<Handover, "install">;
}

/**
 * Takes the rule of a zone out that can give nothing up any more, since every box with a copy is gone for good: by a
 * person's word, which names their disks. Refused while one of them answers.
 */
export async function giveUpZone(
  needs: LostZoneNeeds,
  { zone, log }: LogRecord,
  abandoned: Buffer[],
): Promise<Refusal | undefined> {
  const answers = whoAnswers(needs, abandoned);
  if (answers !== undefined) return answers;
  const value = { zone, log, abandoned };
  const given = await systemCommand(needs.ask, { $case: "giveUpZone", value });
  if (isRefusal(given)) return given;
  for (let attempt = 1; ; attempt++) {
    const unbound = await unbind(needs, zone);
    if (unbound === undefined || unbound.code !== "STALE_EPOCH" || attempt === attemptsMax) return unbound;
  }
}

function whoAnswers({ self, disk, forward, source }: LostZoneNeeds, abandoned: Buffer[]): Refusal | undefined {
  const means = (incarnation: Uint8Array) => abandoned.some((one) => equalBytes(one, incarnation));
  // A link is up only to the disk that is registered under the name.
  const boxes = source.system()?.boxes() ?? [];
  const up = boxes.find(
    ({ name, incarnation }) => means(incarnation) && (name === self ? means(disk.incarnation) : forward.isUp(name)),
  );
  if (up === undefined) return undefined;
  const text = `abandoned: box ${up.name} answers with incarnation ${hexOf(up.incarnation)}, which is said to be gone for good`;
  return refuse("PRECONDITION_FAILED", text);
}

async function unbind({ source, handover }: LostZoneNeeds, zone: string): Promise<Refusal | undefined> {
  const system = source.system();
  if (system === undefined) return refuse("NO_LEADER", "this box does not know the system zone's state; call again");
  const map = system.ruleMap();
  const isBound = [map, system.pendingMap()].some((each) => each?.rules.some((rule) => rule.zone === zone));
  if (!isBound) return undefined;
  const rules = map.rules.filter((rule) => rule.zone !== zone);
  const epoch = await handover.install(map.epoch, rules);
  return isRefusal(epoch) ? epoch : undefined;
}
