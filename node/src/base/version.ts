/** Of all that is built from this checkout; the packages say the same. */
export const version = "0.1.0";
/** Commands that this version knows: a log's level is raised once all of its members know more (architecture.md, decision 12). */
export const featureLevel = 1;
