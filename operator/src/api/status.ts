// What the operator reports. Numbers that move all the time (match, lag) are not here: an idle or a busy healthy group
// must write no status.
import * as z from "zod";
import { mapList, text } from "./fields.ts";

const condition = z.strictObject({
  type: text(64).describe("What is said, such as Ready."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it is so."),
  reason: text(64).describe("One word for machines."),
  message: z.string().max(4096).describe("A sentence for people."),
  lastTransitionTime: z.string().max(40).describe("When status last changed, RFC 3339."),
  observedGeneration: z.int().min(0).optional().describe("Generation of the object that this is about."),
});

const common = {
  observedGeneration: z.int().min(0).optional().describe("Generation of the object that this status is about."),
  conditions: mapList(condition, "type", { max: 16 })
    .optional()
    .describe("Ready, Reconciling, Stalled, Managed and the kind's own conditions."),
};

const memberStatus = z.strictObject({
  box: z.string().max(63).describe("The box."),
  role: z.string().max(16).describe("Voter, Witness or Learner, as the log has it now."),
  state: z.enum(["CaughtUp", "Lagging", "Unreachable"]).describe("How far it is."),
});
const members = mapList(memberStatus, "box", { max: 32 })
  .optional()
  .describe("Members of the log, or the ten worst of the group's logs.");
const accepted = z.int().min(0).optional().describe("Revision of the declaration that the leader took last.");

export const federationStatus = z.strictObject({
  ...common,
  uid: z.string().max(64).optional().describe("Uid of the federation, drawn at its bootstrap."),
  epoch: z.int().min(0).optional().describe("Number of the installed rule map."),
});
export const boxStatus = z.strictObject({
  ...common,
  state: z.string().max(32).optional().describe("starting, empty, ready, draining or full, as the box says."),
  incarnation: z.string().max(64).optional().describe("Incarnation of its disk, hex."),
  version: z.string().max(64).optional().describe("Version that runs."),
  clientEndpoint: z.string().max(260).optional().describe("Where clients reach it."),
  requestedBy: z.string().max(253).optional().describe("Who asked for the drain, fence or pause in force."),
});
export const raftGroupStatus = z.strictObject({
  ...common,
  zones: z.int().min(0).optional().describe("Logs that run with these members."),
  leaders: z.string().max(512).optional().describe("Boxes that lead these logs."),
  mode: z.string().max(16).optional().describe("PAIR or SOLO (SOLO if any log is), empty without a witness."),
  acceptedRevision: accepted,
  members,
});
export const zoneStatus = z.strictObject({
  ...common,
  uid: z.string().max(128).optional().describe("Uid of the zone's log."),
  mode: z.string().max(16).optional().describe("Mode that is in force."),
  leader: z.string().max(63).optional().describe("Box that leads the log."),
  witnessMode: z.string().max(16).optional().describe("PAIR or SOLO, empty without a witness."),
  epoch: z.int().min(0).optional().describe("Rule map in which the zone's rule was installed last."),
  acceptedRevision: accepted,
  members,
});
export const mountStatus = z.strictObject({
  ...common,
  target: z.string().max(63).optional().describe("Zone that is linked."),
});
