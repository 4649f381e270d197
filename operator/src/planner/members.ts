import type { MemberSet } from "./desired.ts";
import type { ObservedLog, RegisteredBox } from "./observed.ts";

/**
 * Canonical text of a declaration: boxes, roles and the disks that are meant, the same for every order. A box that came
 * back with another disk makes another declaration, since its old replica must be replaced.
 */
export function declarationText(target: MemberSet, registered: ReadonlyMap<string, RegisteredBox>): string {
  const parts = [...target].map(([box, role]) => {
    const disk = role === "witness" ? "" : (registered.get(box)?.incarnation ?? "");
    return `${box}=${role}${disk === "" ? "" : `@${disk}`}`;
  });
  return parts.sort().join(",");
}

/** The log has exactly these members, on the disks that are meant. */
export function hasMembers(
  log: ObservedLog,
  target: MemberSet,
  registered: ReadonlyMap<string, RegisteredBox>,
): boolean {
  if (log.members.size !== target.size) return false;
  for (const [box, member] of log.members) {
    if (target.get(box) !== member.role) return false;
    const disk = registered.get(box)?.incarnation ?? "";
    if (member.role !== "witness" && disk !== "" && member.incarnation !== "" && member.incarnation !== disk)
      return false;
  }
  return true;
}
