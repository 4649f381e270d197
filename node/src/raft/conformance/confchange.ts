import { type ChangeResult, enterJoint, leaveJoint, type Membership, simple } from "../confchange/changer.ts";
import { parseChanges } from "../confchange/parse.ts";
import { configText, EMPTY_CONFIG } from "../tracker/config.ts";
import { progressText } from "../tracker/tracker.ts";
import { type Directive, valuesOf } from "./datadriven.ts";

/** Runs the cases of one confchange file, one configuration from case to case. */
export function confChangeRunner(): (directive: Directive) => string {
  let membership: Membership = {
    config: EMPTY_CONFIG,
    progress: new Map(),
    lastIndex: 0,
    limits: { countMax: 10, bytesMax: 0 },
  };
  return (directive) => {
    const result = change(membership, directive);
    membership = { ...membership, lastIndex: membership.lastIndex + 1 };
    if (!result.ok) return `${result.reason}\n`;
    membership = { ...membership, config: result.config, progress: result.progress };
    return `${configText(result.config)}\n${progressText(result.progress)}`;
  };
}

function change(from: Membership, directive: Directive): ChangeResult {
  const parsed = parseChanges(directive.input);
  if (!parsed.ok) return parsed;
  switch (directive.command) {
    case "simple":
      return simple(from, parsed.changes);
    case "enter-joint":
      return enterJoint(from, valuesOf(directive, "autoleave").at(-1) === "true", parsed.changes);
    case "leave-joint":
      return parsed.changes.length > 0 ? { ok: false, reason: "this command takes no input" } : leaveJoint(from);
    default:
      return { ok: false, reason: "unknown command" };
  }
}
