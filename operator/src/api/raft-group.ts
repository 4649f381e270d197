import * as z from "zod";
import { duration, mapList, resourceName, revision, setList, text } from "./fields.ts";

export const membersMax = 32;

const member = z.strictObject({
  box: resourceName().describe("The box."),
  role: z
    .enum(["Voter", "Witness", "Learner"])
    .default("Voter")
    .describe(
      "Voter: stores, votes, may lead (default). Witness: votes only; at most one, beside exactly two Voters; its Box has role Witness. Learner: stores, does not vote.",
    ),
});

/** The only way out of a lost quorum. */
export function recovery() {
  return z
    .strictObject({
      fromBox: resourceName().describe("The box whose copy the zone goes on from."),
      zone: resourceName().describe("The zone to recover."),
      groupUID: text(128).describe(
        "Uid of the zone's log, as status shows it, so that a recreated zone of the same name is not meant.",
      ),
      epoch: z
        .int()
        .min(1)
        .max(2 ** 31 - 1)
        .describe("Grows with every recovery; each number is executed once."),
      abandonedIncarnations: setList(text(64), { max: membersMax }).describe(
        "Incarnations that are gone for good. They are banned; recovery is refused while one of them answers.",
      ),
      acceptDataLoss: z.literal(true).describe("Must be true: what only the abandoned members held is lost."),
    })
    .optional()
    .describe(
      "Go on without a quorum, losing what only the abandoned members held. Never done automatically. Default: absent.",
    );
}

export const raftGroupSpec = z.strictObject({
  revision: revision(),
  members: mapList(member, "box", { min: 1, max: membersMax }).describe(
    "The members. Every zone that names this group has a replicated log of its own with these. 1, 3, 5 or 7 Voters, or two Voters and one Witness, survive a minority of failures.",
  ),
  timing: z
    .strictObject({
      profile: z
        .enum(["region", "wan"])
        .optional()
        .describe(
          "region: election 150-300 ms, heartbeat 50 ms, for members within one region. wan: election from 1.5 s, for members across oceans.",
        ),
      electionTimeout: duration()
        .optional()
        .describe(
          "Shortest silence after which a follower campaigns, such as 1s. Instead of a profile. At least ten round trips, and twice heartbeatInterval.",
        ),
      heartbeatInterval: duration()
        .optional()
        .describe(
          "Time between heartbeats of a leader, such as 100ms. Instead of a profile. At least 10ms, and at most half of electionTimeout.",
        ),
    })
    .default({ profile: "region" })
    .describe(
      "Clocks of the group's logs. Default profile region. Shorter fails over sooner and elects needlessly on a slow network.",
    ),
  system: z
    .boolean()
    .default(false)
    .describe(
      "The one group of the federation that says true holds the system zone (rules, epochs, boxes). Default false. Immutable.",
    ),
  bootstrapBox: resourceName()
    .optional()
    .describe(
      "The only box that may ever write the first entry of the system zone. Required with system: true, refused without. Immutable.",
    ),
  recovery: recovery(),
});
export type RaftGroupSpec = z.output<typeof raftGroupSpec>;
