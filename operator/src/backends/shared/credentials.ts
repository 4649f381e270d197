// What every backend decides alike about the credentials that it issues.

/** Principal of the owner's token. */
export const ownerPrincipal = "owner";
/** Random bytes of the owner's token. */
export const ownerTokenBytes = 32;
/** A certificate or list is renewed when less than this part of its life is left: at 60 of 90 days. */
export const renewBelow = 1 / 3;
