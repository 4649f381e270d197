import type { Operation, SystemCommand, SystemReply } from "@nexus-federation/proto/command.ts";
import type { Response } from "@nexus-federation/proto/request.ts";
import { type Refusal, refuse } from "../base/errors.ts";
import { systemZone } from "../tree/system-zone.ts";
import { type Ask, refusalIn } from "./ask.ts";

/** Time for one command of a hand-over or of the system zone, ms. */
const commandMs = 5_000;

/** Changes the system zone from any box. */
export async function systemCommand(ask: Ask, op: NonNullable<SystemCommand["op"]>): Promise<SystemReply | Refusal> {
  const operation: Operation = { op: { $case: "system", value: { op } } };
  const response = await ask(
    { $case: "mutate", value: operation },
    { zone: systemZone, options: { timeoutMs: commandMs } },
  );
  const refused = refusalIn(response);
  if (refused !== undefined) return refused;
  if (response.result?.$case === "system") return response.result.value;
  return refuse("INTERNAL", "the system zone answered a command with something else");
}

/** Runs one of the box's own commands in a zone. */
export async function zoneCommand(ask: Ask, zone: string, operation: Operation): Promise<Response> {
  return ask({ $case: "mutate", value: operation }, { zone, options: { timeoutMs: commandMs } });
}
