/** Name of the zone of rules, epochs and boxes, in requests and status. */
export const systemZone = "system";
